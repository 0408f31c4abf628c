import { messageOf, ParleyError } from '../core/errors.ts';
import { clickHouseErrorCode } from '../platform/clickhouse/clickhouse.ts';
import { ClaimLostError } from '../platform/kafka/consume/claim.ts';
import type { Logger } from '../platform/logger.ts';
import type { SinkMetrics } from './sink-metrics.ts';

/** The partition as a step sees it. */
export interface Holder {
  /** @throws {ClaimLostError} once the partition is no longer ours. */
  assertOurs(): void;
  /** Ends early when the claim is lost. */
  pause(ms: number): Promise<void>;
}

const MAX_RETRY_DELAY_MS = 5_000;
/** UNKNOWN_TABLE and UNKNOWN_DATABASE: no retry makes a table, the migrations of a start do. */
const MISSING = new Set([60, 81]);

/** Runs the steps of a block: each again and again, with growing pauses, for as long as the partition is ours. */
export class StepRetry {
  readonly #holder: Holder;
  readonly #metrics: SinkMetrics;
  readonly #log: Logger;

  constructor(holder: Holder, { metrics, log }: { readonly metrics: SinkMetrics; readonly log: Logger }) {
    this.#holder = holder;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** @throws {ParleyError} CLICKHOUSE_SCHEMA where a table is missing; {ClaimLostError}. */
  async run<T>(step: string, action: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#holder.assertOurs();
      try {
        return await action();
      } catch (error) {
        if (error instanceof ClaimLostError) throw error;
        if (MISSING.has(clickHouseErrorCode(error) ?? 0)) {
          throw new ParleyError('CLICKHOUSE_SCHEMA', `ClickHouse lacks a table: ${messageOf(error)}`, { cause: error });
        }
        this.#metrics.retries.inc({ step });
        this.#log.warn({ step, attempt, err: error }, 'a step of a block failed; tried again');
        await this.#holder.pause(Math.random() * Math.min(100 * 2 ** attempt, MAX_RETRY_DELAY_MS));
      }
    }
  }
}
