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
 * The four series of kafka_exporter that dashboards for Kafka expect. Each instance reports the partitions that it holds, and
 * the number of a topic's partitions where it holds partition 0, so that all instances together report each once.
 *
 * The broker is asked at each scrape: fetches alone would not do, as a paused partition is not fetched, and it is paused
 * exactly when lag grows. What cannot be read has no series: a failed reading is not zero.
 */
export function exportLag(metrics: Metrics, source: LagSource): void {
  const { groupId: consumergroup } = source;
  const groupLabels = ['consumergroup', 'topic', 'partition'] as const;
  const place = ({ topic, partition }: PartitionClaim) => ({ topic, partition: String(partition) });
  const committed = 'Offset that the group committed';
  metrics.gauge('kafka_consumergroup_current_offset', committed, groupLabels, (gauge) => {
    gauge.reset();
    for (const claim of source.claims()) {
      if (claim.committedOffset !== undefined) gauge.set({ consumergroup, ...place(claim) }, claim.committedOffset);
    }
  });
  const readAll = endsReader(source);
  const lag = 'Records between the committed offset and the end of the log';
  metrics.gauge('kafka_consumergroup_lag', lag, groupLabels, async (gauge) => {
    const ends = await readAll();
    gauge.reset();
    for (const claim of source.claims()) {
      const end = ends.get(claim.topic)?.get(claim.partition);
      const { committedOffset } = claim;
      if (end !== undefined && committedOffset !== undefined) {
        gauge.set({ consumergroup, ...place(claim) }, Math.max(0, end - committedOffset));
      }
    }
  });
  const logEnd = 'The next offset of the log';
  metrics.gauge('kafka_topic_partition_current_offset', logEnd, ['topic', 'partition'], async (gauge) => {
    const ends = await readAll();
    gauge.reset();
    for (const claim of source.claims()) {
      const end = ends.get(claim.topic)?.get(claim.partition);
      if (end !== undefined) gauge.set(place(claim), end);
    }
  });
  metrics.gauge('kafka_topic_partitions', 'Partitions of the topic', ['topic'], async (gauge) => {
    const ends = await readAll();
    gauge.reset();
    for (const { topic, partition } of source.claims()) {
      const ofTopic = ends.get(topic);
      if (ofTopic && partition === 0) gauge.set({ topic }, ofTopic.size);
    }
  });
}

type Ends = ReadonlyMap<string, ReadonlyMap<number, number> | undefined>;

/** The gauges of a scrape, which are read at the same time, share one reading. */
function endsReader(source: LagSource): () => Promise<Ends> {
  let underWay: Promise<Ends> | undefined;
  const read = async (): Promise<Ends> => {
    const topics = [...new Set(source.claims().map(({ topic }) => topic))];
    return new Map(await Promise.all(topics.map(async (topic) => [topic, await readEnds(source, topic)] as const)));
  };
  return () => {
    underWay ??= read().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

/** The ends of a topic's logs; undefined when the broker does not answer in time. */
async function readEnds({ logEnds }: LagSource, topic: string): Promise<ReadonlyMap<number, number> | undefined> {
  const nothing = () => undefined;
  return await within(READ_TIMEOUT_MS, logEnds(topic), nothing).catch(nothing);
}
