import type { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { groupNames, topicNames } from '../platform/kafka/topics.ts';

/** Which group reads which topic (docs/architecture.md#the-way-of-one-message). */
export function consumptions(prefix: string): { group: string; topics: string[] }[] {
  const names = topicNames(prefix);
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
