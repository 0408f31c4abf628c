import type { Clock } from '../core/clock.ts';
import { messageOf, ParleyError } from '../core/errors.ts';
import { clickHouseErrorCode } from '../platform/clickhouse/clickhouse.ts';
import { ClaimLostError } from '../platform/kafka/consume/claim.ts';
import type { Logger } from '../platform/logger.ts';
import { failureCode } from '../platform/stuck-places.ts';
import type { SinkDeps } from './sink-deps.ts';
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

/** A step that has failed since, and so often in a row. */
export interface FailingStep {
  readonly failures: number;
  /** Monotonic, of the first failure. */
  readonly sinceMs: number;
  /** The last failure's. */
  readonly code: string;
}

/** Runs the steps of a block: each again and again, with growing pauses, for as long as the partition is ours. */
export class StepRetry {
  readonly #holder: Holder;
  readonly #metrics: SinkMetrics;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** Undefined while no step fails: steps of a partition are one after another. */
  failing: FailingStep | undefined;

  constructor(holder: Holder, { metrics, log, clock }: Pick<SinkDeps, 'metrics' | 'log' | 'clock'>) {
    this.#holder = holder;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#log = log;
  }

  /**
   * @param action gets how often it failed before.
   * @throws {ParleyError} CLICKHOUSE_SCHEMA where a table is missing; {ClaimLostError}.
   */
  async run<T>(step: string, action: (failures: number) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#holder.assertOurs();
      try {
        const done = await action(attempt);
        this.failing = undefined;
        return done;
      } catch (error) {
        if (error instanceof ClaimLostError) throw error;
        if (MISSING.has(clickHouseErrorCode(error) ?? 0)) {
          throw new ParleyError('CLICKHOUSE_SCHEMA', `ClickHouse lacks a table: ${messageOf(error)}`, { cause: error });
        }
        const sinceMs = this.failing?.sinceMs ?? this.#clock.monotonicMs();
        this.failing = { failures: attempt + 1, sinceMs, code: failureCode(error) };
        this.#metrics.retries.inc({ step });
        this.#log.warn({ step, attempt, err: error }, 'a step of a block failed; tried again');
        await this.#holder.pause(Math.random() * Math.min(100 * 2 ** attempt, MAX_RETRY_DELAY_MS));
      }
    }
  }
}
