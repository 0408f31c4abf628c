import type { Clock } from '../../services/core/clock.ts';
import { LatencyHistogram } from '../../services/operator/latency-histogram.ts';

export interface FreshnessOptions {
  /** Which of these messages an analyst can see now. */
  readonly visible: (ids: readonly string[]) => Promise<readonly string[]>;
  readonly clock: Clock;
  /** At most one message in this time is a marker. */
  readonly sampleEveryMs: number;
  readonly pollEveryMs: number;
}

/** Markers that are waited for at once: the query's list stays short even when nothing arrives any more. */
const MAX_WAITING = 200;

/**
 * Freshness: from a message's intended sending until a query finds its row, sampled by marker messages. Its grain is
 * the polling interval.
 */
export class Freshness {
  readonly latency = new LatencyHistogram();
  /** Why the last query failed, if one did. */
  lastError: unknown;
  readonly #options: FreshnessOptions;
  readonly #waiting = new Map<string, number>();
  #nextSampleAt = 0;
  #stopped = false;
  #polling: Promise<void> = Promise.resolve();

  constructor(options: FreshnessOptions) {
    this.#options = options;
  }

  get unseen(): number {
    return this.#waiting.size;
  }

  start(): void {
    this.#polling = this.#poll();
  }

  /** Offers a message as a marker. */
  offer(id: string, intendedMs: number): void {
    if (intendedMs < this.#nextSampleAt || this.#waiting.size >= MAX_WAITING) return;
    this.#nextSampleAt = intendedMs + this.#options.sampleEveryMs;
    this.#waiting.set(id, intendedMs);
  }

  /** Waits for the markers that are out, at most `timeoutMs`, then stops. */
  async finish(timeoutMs: number): Promise<void> {
    const { clock, pollEveryMs } = this.#options;
    const deadline = clock.monotonicMs() + timeoutMs;
    while (this.#waiting.size > 0 && clock.monotonicMs() < deadline) await pause(pollEveryMs);
    this.#stopped = true;
    await this.#polling;
  }

  async #poll(): Promise<void> {
    const { visible, clock, pollEveryMs } = this.#options;
    while (!this.#stopped) {
      try {
        const found = this.#waiting.size === 0 ? [] : await visible([...this.#waiting.keys()]);
        for (const id of found) {
          const intended = this.#waiting.get(id);
          if (intended === undefined) continue;
          this.latency.record(clock.monotonicMs() - intended);
          this.#waiting.delete(id);
        }
      } catch (error) {
        this.lastError = error;
      }
      await pause(pollEveryMs);
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
