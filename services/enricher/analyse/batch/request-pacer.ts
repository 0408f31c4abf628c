/** As a share of a second's requests: what may go at once after a pause. */
const BURST_S = 0.1;

/** Lets requests go one after the other, no faster than an API allows: a token bucket before a queue. */
export class RequestPacer<T> {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #onTurn: (item: T) => void;
  readonly #now: () => number;
  readonly #waiting: T[] = [];
  #tokens: number;
  #filledAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds. */
  constructor(requestsPerS: number, onTurn: (item: T) => void, now: () => number) {
    this.#perMs = requestsPerS / 1_000;
    this.#burst = Math.max(1, requestsPerS * BURST_S);
    this.#onTurn = onTurn;
    this.#now = now;
    this.#tokens = this.#burst;
    this.#filledAtMs = now();
  }

  /** `onTurn` gets the item when it may go: at once, if nothing waits and the rate allows it. */
  submit(item: T): void {
    this.#waiting.push(item);
    if (this.#timer === undefined) this.#release();
  }

  /** A request that could not wait, a retry or a hedge: those that can, wait for it. */
  charge(): void {
    this.#tokens--;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #release(): void {
    this.#timer = undefined;
    const now = this.#now();
    this.#tokens = Math.min(this.#tokens + (now - this.#filledAtMs) * this.#perMs, this.#burst);
    this.#filledAtMs = now;
    while (this.#waiting.length > 0 && this.#tokens >= 1) {
      this.#tokens--;
      this.#onTurn(this.#waiting.shift() as T);
    }
    if (this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => this.#release(), Math.ceil((1 - this.#tokens) / this.#perMs));
  }
}
