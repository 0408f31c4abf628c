import pLimit, { type LimitFunction } from 'p-limit';

export interface AimdOptions {
  readonly floor: number;
  readonly ceiling: number;
  readonly initial: number;
}

/** Multiplied on a sign of overload. */
const BACKOFF_RATIO = 0.9;

/**
 * p-limit as the bulkhead, its concurrency moved by additive increase and multiplicative decrease, as `AIMDLimit` of
 * Netflix's concurrency-limits does (Chiu and Jain, 1989): one more a success while at least half of the limit is in
 * use, 0.9 times at a time-out or a throttle. A fixed limit that is too high for the API turns slowness into time-outs
 * and retries, which never ends by itself.
 */
export class AimdLimit {
  readonly #limit: LimitFunction;
  readonly #options: AimdOptions;
  #exact: number;
  /** Only a call that began after the last decrease may decrease again: one round of calls is one sign. */
  #decreasedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: AimdOptions) {
    this.#options = options;
    this.#exact = Math.min(Math.max(options.initial, options.floor), options.ceiling);
    this.#limit = pLimit(Math.floor(this.#exact));
  }

  get concurrency(): number {
    return this.#limit.concurrency;
  }
  get inFlight(): number {
    return this.#limit.activeCount;
  }
  get waiting(): number {
    return this.#limit.pendingCount;
  }

  /** Runs a call when a permit is free; `isOverload` says of its error whether the API had too much. */
  run<T>(call: () => Promise<T>, isOverload: (error: unknown) => boolean): Promise<T> {
    return this.#limit(async () => {
      const startedAtMs = performance.now();
      try {
        const result = await call();
        if (this.inFlight * 2 >= this.concurrency) this.#set(this.#exact + 1);
        return result;
      } catch (error) {
        if (isOverload(error) && startedAtMs > this.#decreasedAtMs) {
          this.#decreasedAtMs = performance.now();
          this.#set(this.#exact * BACKOFF_RATIO);
        }
        throw error;
      }
    });
  }

  #set(concurrency: number): void {
    this.#exact = Math.min(Math.max(concurrency, this.#options.floor), this.#options.ceiling);
    const whole = Math.floor(this.#exact);
    if (whole !== this.#limit.concurrency) this.#limit.concurrency = whole;
  }
}
