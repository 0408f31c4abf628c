/** As a share of a second's requests: what may go at once after a pause. */
const BURST_S = 0.1;

/** A token bucket for an API that allows so many requests a second. Retries and hedges may run it into debt. */
export class RequestPacer {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAtMs: number;

  /** @param now monotonic milliseconds. */
  constructor(requestsPerS: number, now: () => number = () => performance.now()) {
    this.#perMs = requestsPerS / 1_000;
    this.#burst = Math.max(1, requestsPerS * BURST_S);
    this.#now = now;
    this.#tokens = this.#burst;
    this.#filledAtMs = now();
  }

  take(): void {
    this.#fill();
    this.#tokens--;
  }

  /** Until the next request may go; 0: now. */
  get waitMs(): number {
    this.#fill();
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#perMs;
  }

  #fill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#tokens + (now - this.#filledAtMs) * this.#perMs, this.#burst);
    this.#filledAtMs = now;
  }
}
