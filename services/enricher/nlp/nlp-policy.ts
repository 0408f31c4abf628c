import {
  BrokenCircuitError,
  CircuitState,
  circuitBreaker,
  DelegateBackoff,
  handleWhen,
  type IRetryBackoffContext,
  isTaskCancelledError,
  retry,
  SamplingBreaker,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel';
import { GradientLimit } from './gradient-limit.ts';
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
  readonly random: () => number;
  readonly onRetry: (cause: string) => void;
}

/** Longer waits that the API asks for are cut to this: the message holds a place in flight meanwhile. */
const MAX_RETRY_AFTER_MS = 30_000;

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
 *     retry ▸ breaker ▸ limit ▸ timeout ▸ call
 *
 * The limiter is inside the breaker and the retry, so a permit is held for an attempt and never during a backoff. The
 * retry does not handle BrokenCircuitError, so the cause of the last real attempt is never hidden. A throttled call does
 * not count against the breaker: the API is alive.
 */
export class NlpPolicy {
  readonly #options: NlpPolicyOptions;
  readonly #limit: GradientLimit;
  readonly breaker;
  readonly #execute;

  constructor(options: NlpPolicyOptions) {
    this.#options = options;
    this.#limit = new GradientLimit({
      floor: Math.min(MIN_CONCURRENCY, options.concurrency),
      ceiling: options.concurrency,
      initial: options.initialConcurrency,
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
    this.#execute = wrap(retries, this.breaker);
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

  get state(): 'closed' | 'open' | 'half_open' {
    if (this.breaker.state === CircuitState.Closed) return 'closed';
    return this.breaker.state === CircuitState.HalfOpen ? 'half_open' : 'open';
  }

  /**
   * @param call one attempt; gets a signal that aborts at its time-out.
   * @throws {NlpError} of the last attempt, or BrokenCircuitError when the breaker let none through.
   */
  execute<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#execute.execute(() => this.#limit.run(() => this.#attempt(call), isOverload));
  }

  async #attempt<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    try {
      return await timeout(timeoutMs, TimeoutStrategy.Aggressive).execute(({ signal }) => call(signal));
    } catch (error) {
      if (!isTaskCancelledError(error)) throw error;
      throw new NlpError('failed', 'timeout', `no answer within ${timeoutMs} ms`, { cause: error });
    }
  }
}

export const isBrokenCircuit = (error: unknown): boolean => error instanceof BrokenCircuitError;
