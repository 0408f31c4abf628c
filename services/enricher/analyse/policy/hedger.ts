import { DeadlineQueue, Due } from '../../../core/collections/deadline-queue.ts';
import { type Cancellation, SUPERSEDED } from '../cancellation.ts';
import { RecentLatency } from './recent-latency.ts';

export interface HedgerOptions {
  /** Extra attempts at most, as a share of all requests; 0 switches hedging off. */
  readonly share: number;
  /** False while the API has too much already, or no permit is free. */
  readonly mayHedge: () => boolean;
  readonly onHedge: (result: HedgeResult) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** `won`: the hedge's answer came first; `lost`: the first attempt's did; `failed`: both failed. */
export type HedgeResult = 'won' | 'lost' | 'failed';

/** Extra attempts that may be saved up: no burst of more, however long all was well. */
const MAX_SAVED = 20;
const NEVER_MS = Number.POSITIVE_INFINITY;

/**
 * Makes a second attempt when the first takes longer than 95 of 100 did lately, and takes the answer that comes first (Dean
 * and Barroso, "The Tail at Scale", 2013). Extra attempts are bounded by a share of all requests, and none is made that
 * could not be expected to answer in time.
 */
export class Hedger {
  readonly #options: HedgerOptions;
  readonly #now: () => number;
  readonly #latency = new RecentLatency();
  readonly #queue: DeadlineQueue<HedgedRequest<unknown>>;
  #saved = 0;

  constructor(options: HedgerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#queue = new DeadlineQueue((request) => this.#consider(request), this.#now);
  }

  /** Latency of an attempt that was answered, in ms. */
  observe(latencyMs: number): void {
    this.#latency.record(latencyMs);
  }

  run<Value>(request: HedgedRequest<Value>): void {
    const { share } = this.#options;
    if (share > 0) {
      this.#saved = Math.min(this.#saved + share, MAX_SAVED);
      const { p95Ms = NEVER_MS, p50Ms = NEVER_MS } = this.#latency;
      const dueAtMs = this.#now() + p95Ms;
      if (dueAtMs + p50Ms <= request.untilMs) this.#queue.add(request as HedgedRequest<unknown>, dueAtMs);
    }
    request.begin();
  }

  /** For hedged requests: one is over. */
  ended(request: HedgedRequest<unknown>, result: HedgeResult | undefined): void {
    this.#queue.delete(request);
    if (result) this.#options.onHedge(result);
  }

  close(): void {
    this.#queue.clear();
  }

  #consider(request: HedgedRequest<unknown>): void {
    const { p50Ms = 0 } = this.#latency;
    if (this.#saved < 1 || this.#now() + p50Ms > request.untilMs || !this.#options.mayHedge()) return;
    this.#saved--;
    request.begin();
  }
}

/** A request with one attempt or two; of two, the one that answers first counts and the other is cancelled. */
export abstract class HedgedRequest<Value> extends Due {
  /** Monotonic time by which the answer is wanted. */
  readonly untilMs: number;
  readonly #hedger: Hedger;
  #first: Cancellation | undefined;
  #second: Cancellation | undefined;
  #failed = 0;
  #isOver = false;

  constructor(hedger: Hedger, untilMs: number) {
    super();
    this.#hedger = hedger;
    this.untilMs = untilMs;
  }

  /** Makes an attempt, known by its cancellation from then on. */
  protected abstract attempt(): Cancellation;
  protected abstract succeeded(value: Value): void;
  /** All attempts failed. @param error the last one's. */
  protected abstract failed(error: unknown): void;

  /** Makes the first attempt, or the hedge. */
  begin(): void {
    const attempt = this.attempt();
    if (this.#first) this.#second = attempt;
    else this.#first = attempt;
  }

  attemptSucceeded(attempt: Cancellation, value: Value): void {
    if (this.#isOver) return;
    const isSecond = attempt === this.#second;
    const slower = isSecond ? this.#first : this.#second;
    this.#end(this.#second && (isSecond ? 'won' : 'lost'));
    this.succeeded(value);
    slower?.cancel(SUPERSEDED);
  }

  attemptFailed(error: unknown): void {
    if (this.#isOver || ++this.#failed < (this.#second ? 2 : 1)) return;
    this.#end(this.#second && 'failed');
    this.failed(error);
  }

  #end(result: HedgeResult | undefined): void {
    this.#isOver = true;
    this.#hedger.ended(this as HedgedRequest<unknown>, result);
  }
}
