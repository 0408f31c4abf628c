import type { Clock } from '../core/clock.ts';

/** A rate with room for bursts. Times are monotonic milliseconds. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #updatedAtMs: number;
  #refusedInARow = 0;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#updatedAtMs = nowMs;
  }

  /** Whole tokens at hand. */
  available(nowMs: number): number {
    this.#refill(nowMs);
    return Math.floor(this.#tokens);
  }

  take(): void {
    this.#tokens -= 1;
    this.#refusedInARow = 0;
  }

  /**
   * Notes a refusal. The answer grows with the refusals since the last success, as if each had booked a token: told the
   * same moment, all of them would come back at once for one token.
   *
   * @returns milliseconds until a token for this one is likely to be there, at least 1.
   */
  refuse(): number {
    this.#refusedInARow += 1;
    return Math.max(1, Math.ceil((this.#refusedInARow - this.#tokens) / this.#perMs));
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#burst;
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#updatedAtMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + elapsedMs * this.#perMs);
    this.#updatedAtMs = nowMs;
  }
}

interface Entry {
  readonly bucket: TokenBucket;
  holders: number;
}

/** Swept only when it has doubled since the last sweep, so that sweeping costs a constant per insertion. */
const FIRST_SWEEP_AT = 1_024;

/**
 * One bucket a name, shared by all who hold it. A bucket that nobody holds stays until it is full again (a reconnect
 * must not refill it), so the table is bounded by the holders plus the names seen within one refill.
 */
export class BucketTable {
  readonly #entries = new Map<string, Entry>();
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #sweepAt = FIRST_SWEEP_AT;

  constructor({ perSecond, burst, clock }: { perSecond: number; burst: number; clock: Clock }) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  hold(name: string): TokenBucket {
    let entry = this.#entries.get(name);
    if (!entry) {
      this.#sweep();
      entry = { bucket: new TokenBucket(this.#perSecond, this.#burst, this.#clock.monotonicMs()), holders: 0 };
      this.#entries.set(name, entry);
    }
    entry.holders += 1;
    return entry.bucket;
  }

  release(name: string): void {
    const entry = this.#entries.get(name);
    if (entry) entry.holders -= 1;
  }

  #sweep(): void {
    if (this.#entries.size < this.#sweepAt) return;
    const nowMs = this.#clock.monotonicMs();
    for (const [name, { bucket, holders }] of this.#entries) {
      if (holders === 0 && bucket.isFull(nowMs)) this.#entries.delete(name);
    }
    this.#sweepAt = Math.max(FIRST_SWEEP_AT, this.#entries.size * 2);
  }
}
