import type { InternalCluster } from '../kafkajs/kafkajs-internals.ts';
import { askLeaders, lookUpOffsets, type Offsets, type Place } from '../kafkajs/offset-look-up.ts';
import type { LogRange } from './log-range.ts';

/** One look at the logs of all partitions, or of one; those that cannot be read now are in `failed`, with the reason. */
export async function readLogRanges(
  cluster: InternalCluster,
  topic: string,
  partition?: number,
): Promise<{ readonly ranges: LogRange[]; readonly failed: Offsets['failed'] }> {
  const all = await askLeaders(cluster, topic);
  const wanted = partition === undefined ? all : new Map([[partition, all.get(partition) ?? -1]]);
  const ask = (place: Place) => lookUpOffsets(cluster, topic, wanted, place);
  const [starts, ends] = await Promise.all([ask('start'), ask('end')]);
  const ranges = [...starts.found].flatMap(([each, start]) => {
    const end = ends.found.get(each);
    return end === undefined ? [] : [{ partition: each, start, end }];
  });
  ranges.sort((a, b) => a.partition - b.partition);
  return { ranges, failed: new Map([...starts.failed, ...ends.failed]) };
}
