import { DelegateBackoff, handleWhen, type IRetryBackoffContext, retry } from 'cockatiel';
import { forward, type NlpRequest, type Receiver } from '../callbacks.ts';
import type { Cancellation } from '../cancellation.ts';
import { NlpError } from '../nlp-errors.ts';
import { Breaker } from './breaker.ts';
import { Calls, type CallsOptions } from './calls.ts';
import { HedgedRequest, type HedgeResult, Hedger } from './hedger.ts';
import { RetryBudget } from './retry-budget.ts';

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
  readonly onRetry: (cause: string) => void;
  readonly onHedge: (result: HedgeResult) => void;
}

/** An API that throttles is not sent a call more than it has to be. */
const NO_HEDGE_AFTER_THROTTLE_MS = 2_000;

const isFailure = (failures: readonly string[]) => (error: unknown) =>
  error instanceof NlpError && failures.includes(error.failure);

const isThrottle = isFailure(['throttled']);

/** Full jitter (Brooker, "Exponential Backoff And Jitter", 2015). What the API asks for besides, all calls wait for. */
export const backoffMs = (
  attempt: number,
  { backoffBaseMs, backoffCapMs, random }: Pick<NlpPolicyOptions, 'backoffBaseMs' | 'backoffCapMs' | 'random'>,
): number => random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** (attempt - 1));

/**
 * All that stands between a message and the NLP API, from the outside in:
 *
 *     retry ▸ breaker ▸ hedge ▸ rate ▸ limit ▸ timeout ▸ call
 *
 * The limiter is inside the breaker and the retry, so a permit is held for an attempt and never during a backoff. The
 * retry does not handle BrokenCircuitError, so the cause of the last real attempt is never hidden. A throttled call does
 * not count against the breaker: the API is alive.
 */
export class NlpPolicy {
  readonly calls: Calls;
  readonly hedger: Hedger;
  readonly breaker: Breaker;
  readonly budget = new RetryBudget();
  readonly #retries;

  constructor(options: NlpPolicyOptions) {
    this.calls = new Calls({ ...options, onAnswered: (tookMs) => this.hedger.observe(tookMs) });
    this.hedger = new Hedger({
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
      backoff: new DelegateBackoff(({ attempt }: IRetryBackoffContext<unknown>) => backoffMs(attempt, options)),
    });
    retries.onRetry((event) => {
      options.onRetry('error' in event && event.error instanceof NlpError ? event.error.cause_code : 'other');
    });
    this.#retries = retries;
    this.breaker.onBreak(() => this.budget.release());
    this.breaker.onReset(() => this.calls.restart());
  }

  get state(): Breaker['state'] {
    return this.breaker.state;
  }

  /** The request fails with the NlpError of its last attempt, or with BrokenCircuitError when the breaker let none through. */
  execute<Reply, Value>(request: NlpRequest<Reply, Value>): void {
    this.budget.call();
    if (this.breaker.isClosed) this.hedger.run(new FirstRound(this, request));
    else
      forward(
        this.#retries.execute(() => this.#guard(request)),
        request,
      );
  }

  /** The retry policy is entered with the first failure, so that a request that needs none does not pay for it. */
  retry<Reply, Value>(request: NlpRequest<Reply, Value>, error: unknown): void {
    let last = error;
    let isFirst = true;
    const round = async (): Promise<Value> => {
      if (isFirst) {
        isFirst = false;
        return await this.breaker.failed(error);
      }
      // The rate bounds the retries of throttled calls.
      if (this.breaker.isClosed && !isThrottle(last)) await this.budget.retry();
      try {
        return await this.#guard(request);
      } catch (failure) {
        last = failure;
        throw failure;
      }
    };
    forward(this.#retries.execute(round), request);
  }

  async #guard<Reply, Value>(request: NlpRequest<Reply, Value>): Promise<Value> {
    const { breaker } = this;
    if (!breaker.isClosed) return await breaker.execute(() => this.#round(request));
    let value: Value;
    try {
      value = await this.#round(request);
    } catch (error) {
      if (!(error instanceof NlpError)) throw error;
      return await breaker.failed(error);
    }
    breaker.succeeded();
    return value;
  }

  #round<Reply, Value>(request: NlpRequest<Reply, Value>): Promise<Value> {
    return new Promise((received, failed) => this.hedger.run(new FurtherRound(this, request, { received, failed })));
  }

  /** The API refused documents of a batch because there were too many: their next calls keep to a lower rate. */
  throttled(): void {
    this.calls.rate.refused(performance.now());
  }

  close(): void {
    this.hedger.close();
    this.calls.close();
    this.budget.release();
  }

  #mayHedge(): boolean {
    if (this.state !== 'closed') return false;
    if (performance.now() < this.calls.throttledAtMs + NO_HEDGE_AFTER_THROTTLE_MS) return false;
    const { waiting, inFlight, concurrency } = this.calls;
    return waiting === 0 && inFlight < concurrency;
  }
}

/** A request's first attempt, and its hedge, while the breaker is closed: nearly always the only one. */
class FirstRound<Reply, Value> extends HedgedRequest<Value> {
  readonly #policy: NlpPolicy;
  readonly #request: NlpRequest<Reply, Value>;

  constructor(policy: NlpPolicy, request: NlpRequest<Reply, Value>) {
    super(policy.hedger, request.hedgeUntilMs);
    this.#policy = policy;
    this.#request = request;
  }

  protected attempt(): Cancellation {
    return this.#policy.calls.start(this.#request, this);
  }
  protected succeeded(value: Value): void {
    this.#policy.breaker.succeeded();
    this.#request.received(value);
  }
  protected failed(error: unknown): void {
    if (error instanceof NlpError) this.#policy.retry(this.#request, error);
    else this.#request.failed(error);
  }
}

/** A retry, or a probe of an API that was down. */
class FurtherRound<Reply, Value> extends HedgedRequest<Value> {
  readonly #policy: NlpPolicy;
  readonly #request: NlpRequest<Reply, Value>;
  readonly #receiver: Receiver<Value>;

  constructor(policy: NlpPolicy, request: NlpRequest<Reply, Value>, receiver: Receiver<Value>) {
    super(policy.hedger, request.hedgeUntilMs);
    this.#policy = policy;
    this.#request = request;
    this.#receiver = receiver;
  }

  protected attempt(): Cancellation {
    return this.#policy.calls.start(this.#request, this);
  }
  protected succeeded(value: Value): void {
    this.#receiver.received(value);
  }
  protected failed(error: unknown): void {
    this.#receiver.failed(error);
  }
}
