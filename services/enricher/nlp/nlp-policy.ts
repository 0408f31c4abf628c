import { DelegateBackoff, handleWhen, type IRetryBackoffContext, retry } from 'cockatiel';
import { DeadlineQueue, Due } from '../../core/deadline-queue.ts';
import { Breaker } from './breaker.ts';
import { Cancellation } from './cancellation.ts';
import { GradientLimit, type LimitMove, type Release } from './gradient-limit.ts';
import { type Contestant, type HedgeResult, Hedger, type Prize, type Race, SUPERSEDED } from './hedger.ts';
import { NlpError } from './nlp-errors.ts';

export interface NlpPolicyOptions {
  /** Calls in flight at most: the ceiling of the bulkhead, which adapts below it. */
  readonly concurrency: number;
  /** Calls in flight at the start. */
  readonly initialConcurrency: number;
  readonly timeoutMs: number;
  /** Retries after the first attempt. */
  readonly maxRetries: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** The breaker opens at this share of failures … */
  readonly breakerThreshold: number;
  /** … over this long … */
  readonly breakerWindowMs: number;
  /** … if there were at least so many calls a second. */
  readonly breakerMinimumRps: number;
  /** Longer than `timeoutMs`: failures of calls begun before the opening would reopen a half-open breaker. */
  readonly halfOpenAfterMs: number;
  /** Hedged calls at most, as a share of all; 0: none. */
  readonly hedgeShare: number;
  readonly random: () => number;
  readonly onRetry: (cause: string) => void;
  readonly onHedge: (result: HedgeResult) => void;
  readonly onLimitMove: (why: LimitMove) => void;
  /** A call ended: there may be {@link NlpPolicy.room} for another. */
  readonly onRelease?: () => void;
}

/** What is asked of the API under the policy. Methods and no promises: thousands of these are in flight. */
export interface Errand<Reply, Value> {
  /** Monotonic time after which an answer is late anyway, so that no hedge is spent on it. */
  readonly hedgeUntilMs: number;
  /** Makes one attempt; is told when it took too long, or when its hedge was quicker, and settles then. */
  ask(cancellation: Cancellation): Promise<Reply>;
  /** What an attempt's reply says. @throws {NlpError} where that is a failure. */
  read(reply: Reply, tookMs: number): Value;
  /** An attempt failed. */
  attemptFailed(error: unknown, tookMs: number, cancellation: Cancellation): void;
  succeeded(value: Value): void;
  /** With the NlpError of the last attempt, or BrokenCircuitError when the breaker let none through. */
  failed(error: unknown): void;
}

/** Longer waits that the API asks for are cut to this: the message holds a place in flight meanwhile. */
const MAX_RETRY_AFTER_MS = 30_000;

/** An API that throttles is not sent a call more than it has to be. */
const NO_HEDGE_AFTER_THROTTLE_MS = 2_000;

/** What may wait for a permit, so that none lies idle between two turns of the event loop. */
const AHEAD_SHARE = 1 / 16;
const MIN_AHEAD = 16;

const isFailure = (failures: readonly string[]) => (error: unknown) =>
  error instanceof NlpError && failures.includes(error.failure);

/** With fewer calls in flight nothing would be learnt of the API. */
const MIN_CONCURRENCY = 10;

/** Undefined: it failed for a reason that says nothing of the API's load. */
function endingOf(error: unknown): 'throttled' | 'timeout' | undefined {
  if (!(error instanceof NlpError)) return undefined;
  if (error.failure === 'throttled') return 'throttled';
  return error.cause_code === 'timeout' ? 'timeout' : undefined;
}

/** Full jitter (Brooker, "Exponential Backoff And Jitter", 2015), on top of what the API asks for. */
export function backoffMs(
  attempt: number,
  retryAfterMs: number | undefined,
  { backoffBaseMs, backoffCapMs, random }: Pick<NlpPolicyOptions, 'backoffBaseMs' | 'backoffCapMs' | 'random'>,
): number {
  const jitter = random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** (attempt - 1));
  return Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) + jitter;
}

/**
 * All that stands between a message and the NLP API, from the outside in:
 *
 *     retry ▸ breaker ▸ hedge ▸ limit ▸ timeout ▸ call
 *
 * The limiter is inside the breaker and the retry, so a permit is held for an attempt and never during a backoff. The
 * retry does not handle BrokenCircuitError, so the cause of the last real attempt is never hidden. A throttled call does
 * not count against the breaker: the API is alive.
 *
 * The time-out is ours, not cockatiel's: with thousands in flight that took 15 µs a call, a quarter of the whole call.
 */
export class NlpPolicy {
  readonly #options: NlpPolicyOptions;
  readonly #limit: GradientLimit;
  readonly #hedger: Hedger;
  readonly #timeouts = new DeadlineQueue<Call<unknown>>((call) => this.#expire(call));
  readonly breaker: Breaker;
  readonly #retries;
  #throttledUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: NlpPolicyOptions) {
    this.#options = options;
    this.#limit = new GradientLimit({
      floor: Math.min(MIN_CONCURRENCY, options.concurrency),
      ceiling: options.concurrency,
      initial: options.initialConcurrency,
      onMove: options.onLimitMove,
      ...(options.onRelease && { onRelease: options.onRelease }),
    });
    this.#hedger = new Hedger({
      share: options.hedgeShare,
      mayHedge: () => this.#mayHedge(),
      onHedge: options.onHedge,
    });
    this.breaker = new Breaker({
      threshold: options.breakerThreshold,
      windowMs: options.breakerWindowMs,
      minimumRps: options.breakerMinimumRps,
      halfOpenAfterMs: options.halfOpenAfterMs,
    });
    const retries = retry(handleWhen(isFailure(['failed', 'throttled'])), {
      maxAttempts: options.maxRetries,
      backoff: new DelegateBackoff((context: IRetryBackoffContext<unknown>) => {
        const error = 'error' in context.result ? context.result.error : undefined;
        const retryAfterMs = error instanceof NlpError ? error.retryAfterMs : undefined;
        return backoffMs(context.attempt, retryAfterMs, options);
      }),
    });
    retries.onRetry((event) => {
      options.onRetry('error' in event && event.error instanceof NlpError ? event.error.cause_code : 'other');
    });
    this.#retries = retries;
    this.breaker.onReset(() => this.#limit.restart());
  }

  /** Calls that hold a permit now. */
  get inFlight(): number {
    return this.#limit.inFlight;
  }

  /** The present limit on calls in flight. */
  get concurrency(): number {
    return this.#limit.concurrency;
  }

  /** Attempts that wait for a permit. Bounded by the messages in flight. */
  get waiting(): number {
    return this.#limit.waiting;
  }

  /** How many more calls may come so that few of them wait: who waits here is no longer in turn by tenant. */
  get room(): number {
    const ahead = Math.max(MIN_AHEAD, this.concurrency * AHEAD_SHARE);
    return Math.max(this.concurrency + Math.floor(ahead) - this.inFlight - this.waiting, 0);
  }

  get state(): Breaker['state'] {
    return this.breaker.state;
  }

  execute<R, T>(errand: Errand<R, T>): void {
    if (this.breaker.isClosed) this.#hedger.run(new FirstAttempt(this, errand), errand.hedgeUntilMs);
    else
      this.#settle(
        errand,
        this.#retries.execute(() => this.#guard(errand)),
      );
  }

  /** The retry is entered with the first failure: what needs none does not pay for it. */
  retry<R, T>(errand: Errand<R, T>, error: unknown): void {
    let first = true;
    const attempt = (): Promise<T> => {
      if (!first) return this.#guard(errand);
      first = false;
      return this.breaker.failed(error);
    };
    this.#settle(errand, this.#retries.execute(attempt));
  }

  #settle<R, T>(errand: Errand<R, T>, outcome: Promise<T>): void {
    outcome.then(
      (value) => errand.succeeded(value),
      (error: unknown) => errand.failed(error),
    );
  }

  async #guard<R, T>(errand: Errand<R, T>): Promise<T> {
    const { breaker } = this;
    if (!breaker.isClosed) return await breaker.execute(() => this.#attempt(errand));
    let value: T;
    try {
      value = await this.#attempt(errand);
    } catch (error) {
      return await breaker.failed(error);
    }
    breaker.succeeded();
    return value;
  }

  #attempt<R, T>(errand: Errand<R, T>): Promise<T> {
    return new Promise((won, lost) => {
      this.#hedger.run({ call: (race) => this.call(errand, race), won, lost }, errand.hedgeUntilMs);
    });
  }

  close(): void {
    this.#hedger.close();
    this.#timeouts.clear();
  }

  /** Makes a call as soon as there is a permit for it, and tells its race how it ended. */
  call<R, T>(errand: Errand<R, T>, race: Race<T>): Contestant<T> {
    const call = new Call(race);
    this.#limit.hold((release) => this.#begin(errand, call, release));
    return call;
  }

  #begin<R, T>(errand: Errand<R, T>, call: Call<T>, release: Release): void {
    const { race, cancellation } = call;
    // It waited for a permit, and the other call of the hedge answered meanwhile.
    if (cancellation.reason) {
      release();
      return;
    }
    call.startedAtMs = performance.now();
    this.#timeouts.add(call as Call<unknown>, call.startedAtMs + this.#options.timeoutMs);
    const failed = (error: unknown) => {
      errand.attemptFailed(error, this.#ended(call as Call<unknown>, error), cancellation);
      release();
      if (cancellation.reason === undefined) race.lost(error);
    };
    errand.ask(cancellation).then((reply) => {
      let value: T;
      try {
        value = errand.read(reply, performance.now() - call.startedAtMs);
      } catch (error) {
        failed(error);
        return;
      }
      this.#ended(call as Call<unknown>, undefined);
      release();
      race.won(call, value);
    }, failed);
  }

  /** @returns how long it took, in ms. */
  #ended(call: Call<unknown>, error: unknown): number {
    this.#timeouts.delete(call);
    const now = performance.now();
    const tookMs = now - call.startedAtMs;
    if (error === undefined) {
      this.#hedger.observe(tookMs);
      this.#limit.observe(tookMs, 'answered');
      return tookMs;
    }
    const ending = endingOf(error);
    if (ending && call.cancellation.reason !== SUPERSEDED) this.#limit.observe(tookMs, ending);
    if (ending === 'throttled') this.#throttledUntilMs = now + NO_HEDGE_AFTER_THROTTLE_MS;
    return tookMs;
  }

  #expire({ race, cancellation }: Call<unknown>): void {
    const error = new NlpError('failed', 'timeout', `no answer within ${this.#options.timeoutMs} ms`);
    cancellation.cancel(error);
    race.lost(error);
  }

  #mayHedge(): boolean {
    if (this.state !== 'closed' || performance.now() < this.#throttledUntilMs) return false;
    return this.waiting === 0 && this.inFlight < this.concurrency;
  }
}

/** One attempt, with a permit or waiting for one. */
class Call<T> extends Due implements Contestant<T> {
  readonly race: Race<T>;
  readonly cancellation = new Cancellation();
  startedAtMs = 0;

  constructor(race: Race<T>) {
    super();
    this.race = race;
  }
}

/** An errand's first attempt while the breaker is closed: nearly always the only one. */
class FirstAttempt<R, T> implements Prize<T> {
  readonly #policy: NlpPolicy;
  readonly #errand: Errand<R, T>;

  constructor(policy: NlpPolicy, errand: Errand<R, T>) {
    this.#policy = policy;
    this.#errand = errand;
  }

  call(race: Race<T>): Contestant<T> {
    return this.#policy.call(this.#errand, race);
  }

  won(value: T): void {
    this.#policy.breaker.succeeded();
    this.#errand.succeeded(value);
  }

  lost(error: unknown): void {
    this.#policy.retry(this.#errand, error);
  }
}
