import type { Check } from '../platform/admin-server.ts';
import type { Metrics } from '../platform/metrics.ts';
import { type Job, offsetOf, type PartitionWorker } from './partition-worker.ts';

/** So many failures in a row make a record stuck: within 1 + 2 + 4 s by the {@link retryDelayMs} between them. */
const FAILURES_TO_BE_STUCK = 3;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;
const CODE = /^\w{1,64}$/;

/** A record that fails whenever it is tried, so that its partition's watermark cannot pass it. */
export interface StuckRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly failures: number;
  /** The last failure's: Kafka's own name of the error, a code of ours or of the system, or the error's name. */
  readonly code: string;
}

interface Failing {
  readonly failures: number;
  readonly code: string;
}

/** How long to wait after so many failures in a row: a second, doubled each time, ten at most. */
export const retryDelayMs = (failures: number): number => Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS);

/** The records that failed for reasons that were not foreseen, and are tried again for as long as their partition is held. */
export class StuckRecords {
  /** Bounded by the records in flight. */
  readonly #failing = new Map<Job, Failing>();

  /** @returns how often the job has failed in a row. */
  failed(job: Job, error: unknown): number {
    const failures = (this.#failing.get(job)?.failures ?? 0) + 1;
    this.#failing.set(job, { failures, code: codeOf(error) });
    return failures;
  }

  ended(job: Job): void {
    if (this.#failing.size > 0) this.#failing.delete(job);
  }

  released(worker: PartitionWorker): void {
    for (const job of [...this.#failing.keys()]) if (job.worker === worker) this.#failing.delete(job);
  }

  /** The lowest stuck record of each partition that has one. */
  list(): StuckRecord[] {
    const lowest = new Map<PartitionWorker, StuckRecord>();
    for (const [job, { failures, code }] of this.#failing) {
      const { worker } = job;
      const offset = offsetOf(job);
      if (failures < FAILURES_TO_BE_STUCK || offset >= (lowest.get(worker)?.offset ?? Number.POSITIVE_INFINITY))
        continue;
      lowest.set(worker, { topic: worker.claim.topic, partition: worker.claim.partition, offset, failures, code });
    }
    return [...lowest.values()];
  }

  /** Down while a partition cannot go on; the error names the first one and its record. */
  readonly check: Check = async () => {
    const [first, ...others] = this.list();
    if (!first) return {};
    const { topic, partition, offset, failures, code } = first;
    const more = others.length === 0 ? '' : `, and ${others.length} more partitions`;
    throw new Error(`${topic}/${partition} cannot go on: offset ${offset} failed ${failures} times (${code})${more}`);
  };

  export(metrics: Metrics): void {
    metrics.gauge(
      'parley_partition_stuck_offset',
      'Offset of the record that a partition cannot pass, by the code of its last failure',
      ['topic', 'partition', 'code'],
      (gauge) => {
        gauge.reset();
        for (const { topic, partition, code, offset } of this.list()) {
          gauge.set({ topic, partition: String(partition), code }, offset);
        }
      },
    );
  }
}

function codeOf(error: unknown): string {
  const { type, code, name } = (error ?? {}) as { type?: unknown; code?: unknown; name?: unknown };
  const found = [type, code, name].find((each) => typeof each === 'string' && CODE.test(each));
  return (found as string | undefined) ?? 'other';
}
