import { DeadlineQueue, Due } from '../../../core/collections/deadline-queue.ts';
import { type Cancellation, SUPERSEDED } from '../cancellation.ts';
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

/** One call for an answer; of two that race for it, the slower one is cancelled. */
export interface Contestant<T> {
  readonly cancellation: Cancellation;
  readonly race: Race<T>;
}

/** What a race is about. Methods and no promises: thousands of these are in flight, and each promise is dear to keep. */
export interface Prize<T> {
  /** Starts one call, which tells the race how it ended. */
  call(race: Race<T>): Contestant<T>;
  won(value: T): void;
  /** All calls failed; the error of the last one. */
  lost(error: unknown): void;
}

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

  /** Latency of a call that was answered, in ms. */
  observe(latencyMs: number): void {
    this.#latency.record(latencyMs);
  }

  /** @param untilMs monotonic time by which the answer is wanted. */
  run<T>(prize: Prize<T>, untilMs: number): void {
    const race = new Race(prize, untilMs, this);
    const { share } = this.#options;
    if (share > 0) {
      this.#saved = Math.min(this.#saved + share, MAX_SAVED);
      const { p95Ms = FAR, p50Ms = FAR } = this.#latency;
      const dueAtMs = this.#now() + p95Ms;
      if (dueAtMs + p50Ms <= untilMs) this.#queue.add(race as Race<unknown>, dueAtMs);
    }
    race.start();
  }

  /** A race is over; called by the race itself. */
  ended(race: Race<unknown>, result: HedgeResult | undefined): void {
    this.#queue.delete(race);
    if (result) this.#options.onHedge(result);
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

const FAR = Number.POSITIVE_INFINITY;

/** One or two calls for the same answer. */
export class Race<T> extends Due {
  readonly untilMs: number;
  readonly #prize: Prize<T>;
  readonly #hedger: Hedger;
  #first: Contestant<T> | undefined;
  #second: Contestant<T> | undefined;
  #failed = 0;
  #over = false;

  constructor(prize: Prize<T>, untilMs: number, hedger: Hedger) {
    super();
    this.#prize = prize;
    this.untilMs = untilMs;
    this.#hedger = hedger;
  }

  start(): void {
    const contestant = this.#prize.call(this);
    if (this.#first) this.#second = contestant;
    else this.#first = contestant;
  }

  won(contestant: Contestant<T>, value: T): void {
    if (this.#over) return;
    const isSecond = contestant === this.#second;
    const slower = isSecond ? this.#first : this.#second;
    this.#end(this.#second && (isSecond ? 'won' : 'lost'));
    this.#prize.won(value);
    slower?.cancellation.cancel(SUPERSEDED);
  }

  lost(error: unknown): void {
    if (this.#over || ++this.#failed < (this.#second ? 2 : 1)) return;
    this.#end(this.#second && 'failed');
    this.#prize.lost(error);
  }

  #end(result: HedgeResult | undefined): void {
    this.#over = true;
    this.#hedger.ended(this as Race<unknown>, result);
  }
}
