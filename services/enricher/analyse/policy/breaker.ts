import { BrokenCircuitError, CircuitState, circuitBreaker, handleWhen, SamplingBreaker } from 'cockatiel';
import { NlpError } from '../nlp-errors.ts';

export interface BreakerOptions {
  /** Opens at this share of failures … */
  readonly threshold: number;
  /** … over this long … */
  readonly windowMs: number;
  /** … if there were at least so many calls a second. */
  readonly minimumRps: number;
  readonly halfOpenAfterMs: number;
}

export const isBrokenCircuit = (error: unknown): boolean => error instanceof BrokenCircuitError;

/**
 * Whether an error counts against the API. A throttle does not, since an API that throttles is alive. What is no NlpError
 * (a probe that was not sent) shows nothing, and must not close the breaker.
 */
const isFailure = (error: unknown): boolean =>
  !(error instanceof NlpError) || error.failure === 'failed' || error.failure === 'misconfigured';

/**
 * cockatiel's circuit breaker. A closed breaker only counts, so outcomes are put into it as they come and it holds
 * nothing meanwhile. An outcome that comes after it opened is left out, since it would be taken for the probe.
 *
 * A success is put straight into the window that the breaker judges by, as its own `execute` would do: in closed state
 * that is all that `execute` does with one, at the price of four promises.
 */
export class Breaker {
  readonly #window: SamplingBreaker;
  readonly #circuit;
  #onSuccess: () => void = () => {};

  constructor({ threshold, windowMs, minimumRps, halfOpenAfterMs }: BreakerOptions) {
    this.#window = new SamplingBreaker({ threshold, duration: windowMs, minimumRps });
    this.#circuit = circuitBreaker(handleWhen(isFailure), { halfOpenAfter: halfOpenAfterMs, breaker: this.#window });
    this.#circuit.onSuccess(() => this.#onSuccess());
  }

  get isClosed(): boolean {
    return this.#circuit.state === CircuitState.Closed;
  }

  get state(): 'closed' | 'open' | 'half_open' {
    if (this.isClosed) return 'closed';
    return this.#circuit.state === CircuitState.HalfOpen ? 'half_open' : 'open';
  }

  onBreak(listener: () => void): void {
    this.#circuit.onBreak(listener);
  }

  onReset(listener: () => void): void {
    this.#circuit.onReset(listener);
  }

  /** For one listener. */
  onSuccess(listener: () => void): void {
    this.#onSuccess = listener;
  }

  onFailure(listener: (event: { readonly handled: boolean }) => void): void {
    this.#circuit.onFailure(listener);
  }

  /** An attempt that began while the breaker was closed had an answer. */
  succeeded(): void {
    if (!this.isClosed) return;
    this.#window.success(CircuitState.Closed);
    this.#onSuccess();
  }

  /** An attempt that began while the breaker was closed failed. @throws always: `error`. */
  async failed(error: unknown): Promise<never> {
    if (!this.isClosed) throw error;
    return await this.#circuit.execute(() => {
      throw error;
    });
  }

  /** An attempt while the breaker is not closed: it is the probe, or refused. @throws {BrokenCircuitError} when it lets none through. */
  execute<T>(attempt: () => Promise<T>): Promise<T> {
    return this.#circuit.execute(attempt);
  }
}
