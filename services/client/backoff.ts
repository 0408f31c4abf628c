export interface BackoffOptions {
  /** The first delay is drawn from 0 to this. */
  readonly minMs: number;
  readonly maxMs: number;
  readonly random: () => number;
}

/**
 * Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): uniform between 0 and a ceiling that doubles.
 * After an outage thousands of clients come back spread out instead of in waves.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  next(): number {
    const { minMs, maxMs, random } = this.#options;
    const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.round(random() * ceiling);
  }

  /** To be called once a connection has proved stable, not when it opens: else a crash loop is met with no delay. */
  reset(): void {
    this.#failures = 0;
  }
}
