/** Reason of a call that lost to the other attempt of its hedged request. */
export const SUPERSEDED = new Error('superseded by the other call of a hedge');

/**
 * Gives a call up. With thousands in flight an AbortSignal for each is a kilobyte and 2 µs, so there is one only for
 * who asks.
 */
export class Cancellation {
  #reason: Error | undefined;
  #controller: AbortController | undefined;
  /** Aborted once, by a cancellation to come. */
  target: { abort(): void } | undefined;

  /** Why the call was given up, or undefined while it is wanted. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  cancel(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.target?.abort();
  }
}
