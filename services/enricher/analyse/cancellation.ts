/** Reason of a call that lost to the other attempt of its hedged request. */
export const SUPERSEDED = new Error('superseded by the other attempt of a hedged request');

/**
 * Gives an attempt up. An AbortSignal for each of thousands in flight takes a kilobyte and 2 µs, so one is made only for a
 * provider that asks for it.
 */
export class Cancellation {
  #reason: Error | undefined;
  #controller: AbortController | undefined;
  /** Aborted once, by a cancellation to come. */
  target: { abort(): void } | undefined;

  /** Why the attempt was given up, or undefined while it is wanted. */
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
