import { ClusterView } from '../../services/platform/kafka/read/cluster-view.ts';
import type { Bench } from './bench.ts';

/** Records that `chat.events` of this benchmark holds. */
export async function recordsIn(bench: Bench): Promise<number> {
  const view = await ClusterView.connect(bench.kafka(), bench.brokers);
  const ranges = await view.logRanges(bench.events);
  await view.close();
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}
