import { DeadlineQueue } from '../../core/deadline-queue.ts';
import { RecentLatency } from './recent-latency.ts';

export interface HedgerOptions {
  /** Extra calls at most, as a share of all; 0 switches hedging off. */
  readonly share: number;
  /** False while the API has too much already, or no permit is free. */
  readonly mayHedge: () => boolean;
  readonly onHedge: (result: HedgeResult) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** `won`: its answer came first; `lost`: the first call's did; `failed`: both failed. */
export type HedgeResult = 'won' | 'lost' | 'failed';

/** Makes one call; aborting the controller gives it up. */
export type Attempt<T> = (controller: AbortController) => Promise<T>;

/** Why a call was given up that nobody waits for any more. */
export const SUPERSEDED = new Error('superseded by the other call of a hedge');

/** Extra calls that may be saved up: no burst of more, however long all was well. */
const MAX_SAVED = 20;

/**
 * Sends a second call when the first takes longer than 95 of 100 did lately, and takes whichever answers first (Dean and
 * Barroso, "The Tail at Scale", 2013). The extra calls are bounded by a share of all calls, and none is made that
 * could not be expected to answer in time.
 */
export class Hedger {
  readonly #options: HedgerOptions;
  readonly #now: () => number;
  readonly #latency = new RecentLatency();
  readonly #queue: DeadlineQueue<Race<unknown>>;
  #saved = 0;

  constructor(options: HedgerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#queue = new DeadlineQueue((race) => this.#consider(race), this.#now);
  }

  /** Latency of an attempt that was answered, in ms. */
  observe(latencyMs: number): void {
    this.#latency.record(latencyMs);
  }

  /** @param untilMs monotonic time by which the answer is wanted. */
  run<T>(attempt: Attempt<T>, untilMs: number): Promise<T> {
    const { share } = this.#options;
    const { p95Ms, p50Ms } = this.#latency;
    if (share > 0) this.#saved = Math.min(this.#saved + share, MAX_SAVED);
    const now = this.#now();
    if (share === 0 || p95Ms === undefined || p50Ms === undefined || now + p95Ms + p50Ms > untilMs) {
      return attempt(new AbortController());
    }
    return new Promise((resolve, reject) => {
      const race = new Race(attempt, untilMs, resolve, reject, (result) => {
        this.#queue.delete(race as Race<unknown>);
        if (result) this.#options.onHedge(result);
      });
      this.#queue.add(race as Race<unknown>, now + p95Ms);
      race.start();
    });
  }

  close(): void {
    this.#queue.clear();
  }

  #consider(race: Race<unknown>): void {
    const { p50Ms = 0 } = this.#latency;
    if (this.#saved < 1 || this.#now() + p50Ms > race.untilMs || !this.#options.mayHedge()) return;
    this.#saved--;
    race.start();
  }
}

/** One or two calls for the same answer. */
class Race<T> {
  readonly untilMs: number;
  readonly #attempt: Attempt<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onEnd: (result: HedgeResult | undefined) => void;
  readonly #calls: AbortController[] = [];
  #failed = 0;
  #over = false;

  constructor(
    attempt: Attempt<T>,
    untilMs: number,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
    onEnd: (result: HedgeResult | undefined) => void,
  ) {
    this.untilMs = untilMs;
    this.#attempt = attempt;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onEnd = onEnd;
  }

  start(): void {
    const call = new AbortController();
    const index = this.#calls.push(call) - 1;
    this.#attempt(call).then(
      (value) => this.#won(index, value),
      (error: unknown) => this.#lost(error),
    );
  }

  #won(index: number, value: T): void {
    if (this.#over) return;
    this.#over = true;
    this.#calls[1 - index]?.abort(SUPERSEDED);
    this.#onEnd(this.#calls.length === 1 ? undefined : index === 1 ? 'won' : 'lost');
    this.#resolve(value);
  }

  #lost(error: unknown): void {
    if (this.#over || ++this.#failed < this.#calls.length) return;
    this.#over = true;
    this.#onEnd(this.#calls.length === 1 ? undefined : 'failed');
    this.#reject(error);
  }
}
