const WINDOW_MS = 100;
/** Weight of the latest window. */
const WEIGHT = 0.5;

/** How many documents arrive a millisecond, over the last few tenths of a second. */
export class ArrivalRate {
  readonly #now: () => number;
  #startedAtMs: number;
  #count = 0;
  #perMs = 0;

  /** @param now monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAtMs = now();
  }

  /** Counts one more. */
  record(): void {
    const now = this.#now();
    const elapsedMs = now - this.#startedAtMs;
    if (elapsedMs >= WINDOW_MS) {
      this.#perMs += WEIGHT * (this.#count / elapsedMs - this.#perMs);
      // After a pause nothing of what was before it counts.
      if (elapsedMs > 10 * WINDOW_MS) this.#perMs = 0;
      this.#count = 0;
      this.#startedAtMs = now;
    }
    this.#count++;
  }

  get perMs(): number {
    return this.#perMs;
  }
}
