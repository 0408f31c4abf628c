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

/** Whether it counts against the API: a throttle does not, since an API that throttles is alive. */
const isFailure = (error: unknown): boolean =>
  error instanceof NlpError && (error.failure === 'failed' || error.failure === 'misconfigured');

/**
 * cockatiel's circuit breaker. While it is closed it only counts, so it is told of outcomes when they are known and
 * holds nothing meanwhile; an outcome that comes after it opened is not its business: it would take that for its probe.
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

  /** An attempt that was begun while it was closed had an answer. */
  succeeded(): void {
    if (!this.isClosed) return;
    this.#window.success(CircuitState.Closed);
    this.#onSuccess();
  }

  /** The same, failed. @throws always: `error`. */
  async failed(error: unknown): Promise<never> {
    if (!this.isClosed) throw error;
    return await this.#circuit.execute(() => {
      throw error;
    });
  }

  /** An attempt while it is not closed: a probe, or refused. @throws {BrokenCircuitError} when it lets none through. */
  execute<T>(attempt: () => Promise<T>): Promise<T> {
    return this.#circuit.execute(attempt);
  }
}
