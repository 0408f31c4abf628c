import {
  BrokenCircuitError,
  CircuitState,
  circuitBreaker,
  DelegateBackoff,
  handleWhen,
  type IRetryBackoffContext,
  retry,
  SamplingBreaker,
} from 'cockatiel';
import { DeadlineQueue } from '../../core/deadline-queue.ts';
import { Cancellation } from './cancellation.ts';
import { GradientLimit, type LimitMove } from './gradient-limit.ts';
import { type Contestant, type HedgeResult, Hedger, type Race, SUPERSEDED } from './hedger.ts';
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
}

export interface ExecuteOptions {
  /** Monotonic time after which an answer is late anyway, so that no hedge is spent on it. */
  readonly hedgeUntilMs: number;
}

/** Longer waits that the API asks for are cut to this: the message holds a place in flight meanwhile. */
const MAX_RETRY_AFTER_MS = 30_000;

const NO_HEDGE: ExecuteOptions = { hedgeUntilMs: Number.NEGATIVE_INFINITY };
/** An API that throttles is not sent a call more than it has to be. */
const NO_HEDGE_AFTER_THROTTLE_MS = 2_000;

/** What may wait for a permit, so that none lies idle between two turns of the event loop. */
const AHEAD_SHARE = 1 / 16;
const MIN_AHEAD = 16;

const isFailure = (failures: readonly string[]) => (error: unknown) =>
  error instanceof NlpError && failures.includes(error.failure);

/** With fewer calls in flight nothing would be learnt of the API. */
const MIN_CONCURRENCY = 10;

const isOverload = (error: unknown) =>
  error instanceof NlpError && (error.failure === 'throttled' || error.cause_code === 'timeout');

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
  readonly breaker;
  readonly #retries;
  #throttledUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: NlpPolicyOptions) {
    this.#options = options;
    this.#limit = new GradientLimit({
      floor: Math.min(MIN_CONCURRENCY, options.concurrency),
      ceiling: options.concurrency,
      initial: options.initialConcurrency,
      onMove: options.onLimitMove,
    });
    this.#hedger = new Hedger({
      share: options.hedgeShare,
      mayHedge: () => this.#mayHedge(),
      onHedge: options.onHedge,
    });
    this.breaker = circuitBreaker(handleWhen(isFailure(['failed', 'misconfigured'])), {
      halfOpenAfter: options.halfOpenAfterMs,
      breaker: new SamplingBreaker({
        threshold: options.breakerThreshold,
        duration: options.breakerWindowMs,
        minimumRps: options.breakerMinimumRps,
      }),
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

  get state(): 'closed' | 'open' | 'half_open' {
    if (this.breaker.state === CircuitState.Closed) return 'closed';
    return this.breaker.state === CircuitState.HalfOpen ? 'half_open' : 'open';
  }

  /**
   * @param ask makes one attempt; is told when it took too long, or when its hedge was quicker, and settles then.
   * @throws {NlpError} of the last attempt, or BrokenCircuitError when the breaker let none through.
   */
  execute<T>(ask: Ask<T>, { hedgeUntilMs }: ExecuteOptions = NO_HEDGE): Promise<T> {
    const call = (race: Race<T>) => this.#call(ask, race);
    const attempt = (): Promise<T> => this.#hedger.run(call, hedgeUntilMs);
    // The retry is entered with the first failure: what needs none does not pay for it.
    return this.#guard(attempt).catch((error: unknown) => {
      let first = true;
      return this.#retries.execute((): Promise<T> => {
        if (!first) return this.#guard(attempt);
        first = false;
        throw error;
      });
    });
  }

  /**
   * While the breaker is closed it only counts: it is told of the outcome when that is known, and keeps nothing meanwhile.
   * An outcome that comes after it opened is not its business: it would take that for its probe.
   */
  #guard<T>(attempt: () => Promise<T>): Promise<T> {
    const { breaker } = this;
    if (breaker.state !== CircuitState.Closed) return breaker.execute(attempt);
    return attempt().then(
      (value) => {
        if (breaker.state === CircuitState.Closed) void breaker.execute(() => value);
        return value;
      },
      (error: unknown) => {
        if (breaker.state !== CircuitState.Closed) throw error;
        return breaker.execute(() => {
          throw error;
        });
      },
    );
  }

  close(): void {
    this.#hedger.close();
    this.#timeouts.clear();
  }

  /** Makes a call as soon as there is a permit for it, and tells its race how it ended. */
  #call<T>(ask: Ask<T>, race: Race<T>): Contestant<T> {
    const call: Call<T> = { race, cancellation: new Cancellation(), startedAtMs: 0 };
    this.#limit.hold(() => this.#begin(ask, call));
    return call;
  }

  #begin<T>(ask: Ask<T>, call: Call<T>): Promise<void> {
    const { race, cancellation } = call;
    // It waited for a permit, and the other call of the hedge answered meanwhile.
    if (cancellation.reason) return DONE;
    call.startedAtMs = performance.now();
    this.#timeouts.add(call as Call<unknown>, call.startedAtMs + this.#options.timeoutMs);
    return ask(cancellation).then(
      (value) => {
        this.#ended(call as Call<unknown>, undefined);
        race.won(call, value);
      },
      (error: unknown) => {
        this.#ended(call as Call<unknown>, error);
        if (cancellation.reason === undefined) race.lost(error);
      },
    );
  }

  #ended(call: Call<unknown>, error: unknown): void {
    this.#timeouts.delete(call);
    const now = performance.now();
    const tookMs = now - call.startedAtMs;
    if (error === undefined) {
      this.#hedger.observe(tookMs);
      this.#limit.observe(tookMs, false);
    } else if (call.cancellation.reason !== SUPERSEDED && isOverload(error)) {
      this.#limit.observe(0, true);
    }
    if (error instanceof NlpError && error.failure === 'throttled') {
      this.#throttledUntilMs = now + NO_HEDGE_AFTER_THROTTLE_MS;
    }
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

export type Ask<T> = (cancellation: Cancellation) => Promise<T>;

/** One attempt, with a permit or waiting for one. */
interface Call<T> extends Contestant<T> {
  startedAtMs: number;
}

const DONE = Promise.resolve();

export const isBrokenCircuit = (error: unknown): boolean => error instanceof BrokenCircuitError;
