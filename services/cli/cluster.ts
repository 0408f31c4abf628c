import { ClusterView } from '../platform/kafka/cluster-view.ts';
import { createKafka } from '../platform/kafka/kafka.ts';
import { groupNames, type TopicNames, topicNames } from '../platform/kafka/topics.ts';
import { createLogger } from '../platform/logger.ts';
import type { CliSettings } from './settings.ts';

/** Runs `work` with a view of the cluster, which is closed afterwards. @throws {ParleyError} KAFKA_UNREACHABLE */
export async function withCluster<T>(settings: CliSettings, work: (view: ClusterView) => Promise<T>): Promise<T> {
  // Silent: what the client has to say about a cluster that is away is said once, in the error.
  const log = createLogger('parley', 'silent');
  const kafka = createKafka({ brokers: settings.KAFKA_BROKERS, clientId: 'parley-cli', log });
  const view = await ClusterView.connect(kafka, settings.KAFKA_BROKERS);
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

/** Which group reads which topic (design §2). */
export function consumptions(prefix: string): { group: string; topics: string[] }[] {
  const names: TopicNames = topicNames(prefix);
  const groups = groupNames(prefix);
  return [
    { group: groups.enricher, topics: [names.events, names.replay] },
    { group: groups.sink, topics: [names.enriched] },
  ];
}

export interface PartitionLag {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
  /** Null before the group's first commit. */
  readonly committed: number | null;
  readonly lag: number;
}

/** Records that the group has not committed yet: from the log's start where it never did. */
export async function lagOf(view: ClusterView, group: string, topic: string): Promise<PartitionLag[]> {
  const committed = await view.committed(group, topic);
  const ranges = await view.logRanges(topic);
  return ranges.map(({ partition, start, end }) => {
    const at = committed.get(partition) ?? null;
    return { partition, start, end, committed: at, lag: Math.max(end - Math.max(at ?? start, start), 0) };
  });
}

export const totalLag = (partitions: readonly PartitionLag[]): number =>
  partitions.reduce((sum, { lag }) => sum + lag, 0);
