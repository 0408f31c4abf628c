import type { Clock } from './clock.ts';

/** Lets `ratePerS` calls a second through, and `burst` at once after a pause. */
export class TokenBucket {
  readonly #ratePerS: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAtMs: number;

  constructor(ratePerS: number, burst: number, clock: Clock) {
    this.#ratePerS = ratePerS;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes a token and returns 0, or returns the milliseconds until there will be one. */
  take(): number {
    const now = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAtMs) / 1_000) * this.#ratePerS);
    this.#filledAtMs = now;
    if (this.#tokens < 1) return ((1 - this.#tokens) / this.#ratePerS) * 1_000;
    this.#tokens -= 1;
    return 0;
  }
}
