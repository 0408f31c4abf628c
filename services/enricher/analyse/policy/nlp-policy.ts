import { DelegateBackoff, handleWhen, type IRetryBackoffContext, retry } from 'cockatiel';
import { NlpError } from '../nlp-errors.ts';
import { Breaker } from './breaker.ts';
import { Calls, type CallsOptions, type Question } from './calls.ts';
import { type Contestant, type HedgeResult, Hedger, type Prize, type Race } from './hedger.ts';

export interface NlpPolicyOptions extends Omit<CallsOptions, 'onAnswered'> {
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
}

/** What is asked of the API under the policy. Methods and no promises: thousands of these are in flight. */
export interface Errand<Reply, Value> extends Question<Reply, Value> {
  /** Monotonic time after which an answer is late anyway, so that no hedge is spent on it. */
  readonly hedgeUntilMs: number;
  succeeded(value: Value): void;
  /** With the NlpError of the last attempt, or BrokenCircuitError when the breaker let none through. */
  failed(error: unknown): void;
}

/** Longer waits that the API asks for are cut to this: the message holds a place in flight meanwhile. */
const MAX_RETRY_AFTER_MS = 30_000;

/** An API that throttles is not sent a call more than it has to be. */
const NO_HEDGE_AFTER_THROTTLE_MS = 2_000;

const isFailure = (failures: readonly string[]) => (error: unknown) =>
  error instanceof NlpError && failures.includes(error.failure);

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
 */
export class NlpPolicy {
  readonly calls: Calls;
  readonly #hedger: Hedger;
  readonly breaker: Breaker;
  readonly #retries;

  constructor(options: NlpPolicyOptions) {
    this.calls = new Calls({ ...options, onAnswered: (tookMs) => this.#hedger.observe(tookMs) });
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
    this.breaker.onReset(() => this.calls.restart());
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
      this.#hedger.run({ call: (race) => this.calls.start(errand, race), won, lost }, errand.hedgeUntilMs);
    });
  }

  close(): void {
    this.#hedger.close();
    this.calls.close();
  }

  #mayHedge(): boolean {
    if (this.state !== 'closed') return false;
    if (performance.now() < this.calls.throttledAtMs + NO_HEDGE_AFTER_THROTTLE_MS) return false;
    const { waiting, inFlight, concurrency } = this.calls;
    return waiting === 0 && inFlight < concurrency;
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
    return this.#policy.calls.start(this.#errand, race);
  }

  won(value: T): void {
    this.#policy.breaker.succeeded();
    this.#errand.succeeded(value);
  }

  lost(error: unknown): void {
    this.#policy.retry(this.#errand, error);
  }
}
