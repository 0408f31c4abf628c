import { within } from '../../../core/within.ts';
import type { Metrics } from '../../metrics.ts';
import type { PartitionClaim } from './partition-claim.ts';

/** How long a scrape waits for the broker to say where the logs end. */
const READ_TIMEOUT_MS = 1_500;

export interface LagSource {
  readonly groupId: string;
  readonly claims: () => readonly PartitionClaim[];
  /** The next offset of each partition of a topic, as the broker has it now. */
  readonly logEnds: (topic: string) => Promise<ReadonlyMap<number, number>>;
}

/**
 * `kafka_consumergroup_lag` and `kafka_consumergroup_current_offset`, under the names that dashboards for Kafka expect.
 * Each instance reports the partitions that it holds, so that all instances together report each once.
 *
 * The broker is asked at each scrape: fetches alone would not do, as a paused partition is not fetched, and it is paused
 * exactly when lag grows. What cannot be read has no series: a failed reading is not zero.
 */
export function exportLag(metrics: Metrics, source: LagSource): void {
  const labels = ['consumergroup', 'topic', 'partition'] as const;
  const labelsOf = ({ topic, partition }: PartitionClaim) => ({
    consumergroup: source.groupId,
    topic,
    partition: String(partition),
  });
  metrics.gauge('kafka_consumergroup_current_offset', 'Offset that the group committed', labels, (gauge) => {
    gauge.reset();
    for (const claim of source.claims()) {
      if (claim.committedOffset !== undefined) gauge.set(labelsOf(claim), claim.committedOffset);
    }
  });
  metrics.gauge(
    'kafka_consumergroup_lag',
    'Records between the committed offset and the end of the log',
    labels,
    async (gauge) => {
      const topics = new Set(source.claims().map(({ topic }) => topic));
      const ends = new Map(
        await Promise.all([...topics].map(async (topic) => [topic, await readEnds(source, topic)] as const)),
      );
      gauge.reset();
      for (const claim of source.claims()) {
        const end = ends.get(claim.topic)?.get(claim.partition);
        const { committedOffset } = claim;
        if (end !== undefined && committedOffset !== undefined) {
          gauge.set(labelsOf(claim), Math.max(0, end - committedOffset));
        }
      }
    },
  );
}

/** The ends of a topic's logs; undefined when the broker does not answer in time. */
async function readEnds({ logEnds }: LagSource, topic: string): Promise<ReadonlyMap<number, number> | undefined> {
  const nothing = () => undefined;
  return await within(READ_TIMEOUT_MS, logEnds(topic), nothing).catch(nothing);
}
