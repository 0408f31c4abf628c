import type { Check } from './admin-server.ts';
import type { Metrics } from './metrics.ts';

/** Where a partition cannot go on: what begins at the offset fails whenever it is tried. */
export interface StuckPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly failures: number;
  /** The last failure's, see {@link failureCode}. */
  readonly code: string;
}

const CODE = /^\w{1,64}$/;

/** Kafka's or ClickHouse's own name of the error, a code of ours or of the system, or the error's name: fit for a label. */
export function failureCode(error: unknown): string {
  const { type, code, name } = (error ?? {}) as { type?: unknown; code?: unknown; name?: unknown };
  const found = [type, code, name].find((each) => typeof each === 'string' && CODE.test(each));
  return (found as string | undefined) ?? 'other';
}

/** Down while a partition cannot go on; the error names the first one and where it stands. */
export const stuckCheck =
  (list: () => readonly StuckPlace[]): Check =>
  async () => {
    const [first, ...others] = list();
    if (!first) return {};
    const { topic, partition, offset, failures, code } = first;
    const more = others.length === 0 ? '' : `, and ${others.length} more partitions`;
    throw new Error(`${topic}/${partition} cannot go on: offset ${offset} failed ${failures} times (${code})${more}`);
  };

export function exportStuck(metrics: Metrics, list: () => readonly StuckPlace[]): void {
  metrics.gauge(
    'parley_partition_stuck_offset',
    'Offset that a partition cannot pass, by the code of its last failure',
    ['topic', 'partition', 'code'],
    (gauge) => {
      gauge.reset();
      for (const { topic, partition, code, offset } of list()) {
        gauge.set({ topic, partition: String(partition), code }, offset);
      }
    },
  );
}
