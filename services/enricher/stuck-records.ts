import type { Check } from '../platform/admin-server.ts';
import type { Metrics } from '../platform/metrics.ts';
import { exportStuck, failureCode, type StuckPlace, stuckCheck } from '../platform/stuck-places.ts';
import { type Job, offsetOf, type PartitionWorker } from './partition-worker.ts';

/** So many failures in a row make a record stuck: within 1 + 2 + 4 s by the {@link retryDelayMs} between them. */
const FAILURES_TO_BE_STUCK = 3;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;

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
    this.#failing.set(job, { failures, code: failureCode(error) });
    return failures;
  }

  ended(job: Job): void {
    if (this.#failing.size > 0) this.#failing.delete(job);
  }

  released(worker: PartitionWorker): void {
    for (const job of [...this.#failing.keys()]) if (job.worker === worker) this.#failing.delete(job);
  }

  /** The lowest stuck record of each partition that has one. */
  list(): StuckPlace[] {
    const lowest = new Map<PartitionWorker, StuckPlace>();
    for (const [job, { failures, code }] of this.#failing) {
      const { worker } = job;
      const offset = offsetOf(job);
      if (failures < FAILURES_TO_BE_STUCK || offset >= (lowest.get(worker)?.offset ?? Number.POSITIVE_INFINITY))
        continue;
      lowest.set(worker, { topic: worker.claim.topic, partition: worker.claim.partition, offset, failures, code });
    }
    return [...lowest.values()];
  }

  readonly check: Check = stuckCheck(() => this.list());

  export(metrics: Metrics): void {
    exportStuck(metrics, () => this.list());
  }
}
