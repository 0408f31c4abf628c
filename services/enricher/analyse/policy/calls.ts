import { DeadlineQueue, Due } from '../../../core/collections/deadline-queue.ts';
import type { Holder, NlpRequest, Receiver, Release } from '../callbacks.ts';
import { Cancellation, SUPERSEDED } from '../cancellation.ts';
import { NlpError } from '../nlp-errors.ts';
import { GradientLimit, type LimitMove } from './gradient-limit.ts';
import type { HedgedRequest } from './hedger.ts';
import { type PacedCall, SendRate } from './send-rate.ts';

export interface CallsOptions {
  /** Calls in flight at most: the ceiling of the bulkhead, which adapts below it. */
  readonly concurrency: number;
  /** Calls in flight at the start. */
  readonly initialConcurrency: number;
  readonly timeoutMs: number;
  /** What the API allows this instance, in calls a second; undefined: as many as it answers. */
  readonly requestsPerS?: number | undefined;
  readonly random: () => number;
  readonly onLimitMove: (why: LimitMove) => void;
  /** A throttle counts as an outage from now on, or no longer. */
  readonly onLasting?: ((isLasting: boolean) => void) | undefined;
  /** A call ended: there may be {@link Calls.room} for another. */
  readonly onRelease?: (() => void) | undefined;
  readonly onAnswered: (tookMs: number) => void;
}

/** With fewer calls in flight nothing would be learnt of the API. */
const MIN_CONCURRENCY = 10;

/** What may wait for a permit, so that none lies idle between two turns of the event loop. */
const AHEAD_SHARE = 1 / 16;
const MIN_AHEAD = 16;

/**
 * Calls under a permit each, and within their time:
 *
 *     rate ▸ limit ▸ timeout ▸ call
 *
 * The time-out is ours, not cockatiel's: with thousands in flight that took 15 µs a call, a quarter of the whole call.
 */
export class Calls {
  readonly #options: CallsOptions;
  readonly rate: SendRate;
  readonly #limit: GradientLimit;
  readonly #timeouts = new DeadlineQueue<Timed>((call) => this.#expire(call));
  #throttledAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: CallsOptions) {
    this.#options = options;
    const { requestsPerS, random, onLasting, onRelease: onRoom } = options;
    this.rate = new SendRate({ requestsPerS, random, onLasting, onRoom });
    this.#limit = new GradientLimit({
      floor: Math.min(MIN_CONCURRENCY, options.concurrency),
      ceiling: options.concurrency,
      initial: options.initialConcurrency,
      onMove: options.onLimitMove,
      onRelease: options.onRelease,
    });
  }

  /** Calls that hold a permit. */
  get inFlight(): number {
    return this.#limit.inFlight;
  }

  /** The present limit on calls in flight. */
  get concurrency(): number {
    return this.#limit.concurrency;
  }

  /** Calls that wait for the rate or a permit. Bounded by the messages in flight. */
  get waiting(): number {
    return this.rate.waiting + this.#limit.waiting;
  }

  /** How many more calls may come so that few of them wait for a permit: calls that wait here are no longer in turn by tenant. */
  get room(): number {
    const ahead = Math.max(MIN_AHEAD, this.concurrency * AHEAD_SHARE);
    return Math.max(this.concurrency + Math.floor(ahead) - this.inFlight - this.waiting, 0);
  }

  /** Monotonic time of the last call that the API refused because there were too many. */
  get throttledAtMs(): number {
    return this.#throttledAtMs;
  }

  /** Makes a call as soon as there is a permit for it. @returns what cancels it. */
  start<Reply, Value>(request: NlpRequest<Reply, Value>, hedged: HedgedRequest<Value>): Cancellation {
    const call = new Call(this, request, hedged);
    this.rate.submit(call);
    return call.cancellation;
  }

  /** After an outage: from the beginning, as if nothing were known of the API. */
  restart(): void {
    this.#limit.restart();
  }

  close(): void {
    this.rate.close();
    this.#timeouts.clear();
  }

  /** For the calls themselves, here and below: the rate lets one go. */
  hold(call: Holder): void {
    this.#limit.hold(call);
  }

  began(call: Timed): void {
    this.#timeouts.add(call, call.startedAtMs + this.#options.timeoutMs);
  }

  answered(call: Timed, tookMs: number): void {
    this.#timeouts.delete(call);
    this.rate.answered(call.startedAtMs + tookMs);
    this.#options.onAnswered(tookMs);
    this.#limit.observe(tookMs, 'answered');
  }

  /** @returns how long it took, in ms. */
  failed(call: Timed, error: unknown): number {
    this.#timeouts.delete(call);
    const now = performance.now();
    const tookMs = now - call.startedAtMs;
    const ending = endingOf(error);
    if (ending && call.cancellation.reason !== SUPERSEDED) this.#limit.observe(tookMs, ending);
    if (ending === 'throttled') {
      this.#throttledAtMs = now;
      this.rate.refused(call.startedAtMs);
    }
    if (error instanceof NlpError && error.retryAfterMs !== undefined) this.rate.pauseFor(error.retryAfterMs);
    return tookMs;
  }

  #expire({ hedged, cancellation }: Timed): void {
    const error = new NlpError('failed', 'timeout', `no answer within ${this.#options.timeoutMs} ms`);
    cancellation.cancel(error);
    hedged.attemptFailed(error);
  }
}

/** Undefined: it failed for a reason that says nothing of the API's load. */
function endingOf(error: unknown): 'throttled' | 'timeout' | undefined {
  if (!(error instanceof NlpError)) return undefined;
  if (error.failure === 'throttled') return 'throttled';
  return error.cause_code === 'timeout' ? 'timeout' : undefined;
}

/** A call, whatever it asks. */
type Timed = Due & {
  readonly startedAtMs: number;
  readonly cancellation: Cancellation;
  readonly hedged: { attemptFailed(error: unknown): void };
};

/** One attempt, with a permit or waiting for one. */
class Call<Reply, Value> extends Due implements Holder, PacedCall, Receiver<Reply> {
  readonly hedged: HedgedRequest<Value>;
  readonly cancellation = new Cancellation();
  startedAtMs = 0;
  readonly #calls: Calls;
  readonly #request: NlpRequest<Reply, Value>;
  #release: Release | undefined;

  constructor(calls: Calls, request: NlpRequest<Reply, Value>, hedged: HedgedRequest<Value>) {
    super();
    this.#calls = calls;
    this.#request = request;
    this.hedged = hedged;
  }

  get isWanted(): boolean {
    return this.cancellation.reason === undefined && this.#request.isWanted;
  }

  send(): void {
    this.#calls.hold(this);
  }

  notSent(error: Error): void {
    if (this.cancellation.reason === undefined) this.hedged.attemptFailed(error);
  }

  held(release: Release): void {
    // The other attempt answered while this one waited for a permit.
    if (this.cancellation.reason) {
      release();
      return;
    }
    this.#release = release;
    this.startedAtMs = performance.now();
    this.#calls.began(this);
    try {
      this.#request.attempt(this.cancellation, this);
    } catch (error) {
      // The permit was another call's until now: what is wrong with this one is not that one's.
      queueMicrotask(() => this.failed(error));
    }
  }

  received(reply: Reply): void {
    const tookMs = performance.now() - this.startedAtMs;
    let value: Value;
    try {
      value = this.#request.read(reply, tookMs);
    } catch (error) {
      this.failed(error);
      return;
    }
    this.#calls.answered(this, tookMs);
    try {
      this.hedged.attemptSucceeded(this.cancellation, value);
    } finally {
      this.#release?.();
    }
  }

  failed(error: unknown): void {
    const { cancellation } = this;
    try {
      this.#request.attemptFailed(error, this.#calls.failed(this, error), cancellation);
      if (cancellation.reason === undefined) this.hedged.attemptFailed(error);
    } finally {
      this.#release?.();
    }
  }
}
