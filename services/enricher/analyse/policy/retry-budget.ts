/**
 * Retries as a share of the first attempts: where a quarter of all calls fail, 1 ÷ 0.75 − 1 = 0.33 are needed. Above 29 %
 * retries are put off, and at 50 % the breaker opens.
 */
const SHARE = 0.4;
/** Retries a second besides, so that an instance with few calls can retry at all. */
const MIN_PER_S = 10;
/** Seconds whose calls count. */
const WINDOW_S = 10;
/** A retry is put off for no longer than this. */
const MAX_WAIT_MS = 30_000;

/**
 * Bounds retries by a share of the calls (`RetryBudget` of Twitter's Finagle, with its 10 a second and ten seconds),
 * so that an API that fails is not asked several times as much as one that works. A retry that the budget does not cover
 * is put off, not left out, since no message may be given up for it: the balance falls below zero, and each retry waits
 * until its own share is earned.
 */
export class RetryBudget {
  readonly #now: () => number;
  #balance = MIN_PER_S * WINDOW_S;
  #perS = 0;
  #calls = 0;
  #countedAtMs: number;
  readonly #putOff = new Set<() => void>();

  /** @param now monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#countedAtMs = now();
  }

  /** Counts a first attempt. */
  call(): void {
    this.#calls++;
  }

  /** Retries that wait. */
  get waiting(): number {
    return this.#putOff.size;
  }

  /** Takes a retry out of the budget. Resolves when it may be made. */
  async retry(): Promise<void> {
    const waitMs = this.take();
    if (waitMs === 0) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#putOff.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.#putOff.add(wake);
    });
  }

  /** Takes a retry out of the budget. @returns the milliseconds that it has to wait for that. */
  take(): number {
    this.#earn();
    this.#balance--;
    if (this.#balance >= 0) return 0;
    return Math.min((-this.#balance * 1_000) / (MIN_PER_S + SHARE * this.#perS), MAX_WAIT_MS);
  }

  /** The breaker decides from now on: nothing waits for the budget, and what was spent so far is forgotten. */
  release(): void {
    this.#balance = Math.max(this.#balance, MIN_PER_S * WINDOW_S);
    for (const wake of [...this.#putOff]) wake();
  }

  #earn(): void {
    const now = this.#now();
    const elapsedS = (now - this.#countedAtMs) / 1_000;
    if (elapsedS <= 0) return;
    const weight = Math.min(elapsedS / WINDOW_S, 1);
    this.#perS += weight * (this.#calls / elapsedS - this.#perS);
    const most = WINDOW_S * (MIN_PER_S + SHARE * this.#perS);
    this.#balance = Math.min(this.#balance + MIN_PER_S * elapsedS + SHARE * this.#calls, Math.max(most, this.#balance));
    this.#calls = 0;
    this.#countedAtMs = now;
  }
}
