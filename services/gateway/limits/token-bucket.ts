import type { Clock } from '../../core/clock.ts';

/** A rate limit that a session asks before it takes a message. */
export interface Bucket {
  /** Whole tokens at hand. */
  available(nowMs: number): number;
  /** @param count tokens, one by default; the bucket may go below zero and is refilled from there. */
  take(count?: number): void;
  /** Notes a refusal. @returns milliseconds until another try makes sense, at least 1. */
  refuse(): number;
}

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export type RateOf = (name: string) => Rate;

/** Buckets by name, each shared by all who hold it. */
export interface Buckets {
  hold(name: string): Bucket;
  release(name: string): void;
}

/** A rate with room for bursts. Times are monotonic milliseconds. */
export class TokenBucket implements Bucket {
  #perMs: number;
  #burst: number;
  #tokens: number;
  #updatedAtMs: number;
  #refusedInARow = 0;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#updatedAtMs = nowMs;
  }

  available(nowMs: number): number {
    this.#refill(nowMs);
    return Math.floor(this.#tokens);
  }

  take(count = 1): void {
    this.#tokens -= count;
    this.#refusedInARow = 0;
  }

  /** Another rate and burst from now on; what is above the burst is lost. */
  resize(perSecond: number, burst: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /**
   * Notes a refusal. The answer grows with the refusals since the last success, as if each had booked a token: with
   * one answer for all, all of them would come back at once for one token.
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
  /** Rate and burst are divided by this. */
  divisor: number;
}

interface BucketTableOptions extends Rate {
  readonly clock: Clock;
  /** The rates of names that may have others; asked again at `refresh`. */
  readonly rateOf?: RateOf | undefined;
}

/** Swept only when it has doubled since the last sweep, so that sweeping costs a constant per insertion. */
const FIRST_SWEEP_AT = 1_024;

/**
 * One bucket a name, shared by its holders. A bucket without holders stays until it is full again (a reconnect must not
 * refill it), so the table is bounded by the holders plus the names seen within one refill.
 */
export class BucketTable implements Buckets {
  readonly #entries = new Map<string, Entry>();
  readonly #rateOf: RateOf;
  readonly #clock: Clock;
  #sweepAt = FIRST_SWEEP_AT;

  constructor({ perSecond, burst, clock, rateOf = () => ({ perSecond, burst }) }: BucketTableOptions) {
    this.#rateOf = rateOf;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  hold(name: string): TokenBucket {
    const entry = this.#entryOf(name);
    entry.holders += 1;
    return entry.bucket;
  }

  /** The bucket of a name that need not be held. */
  peek(name: string): TokenBucket {
    return this.#entryOf(name).bucket;
  }

  /** From now on the bucket has an `n`-th of rate and burst; at least one token fits in. */
  divide(name: string, n: number): void {
    const entry = n === 1 ? this.#entries.get(name) : this.#entryOf(name);
    if (!entry) return;
    entry.divisor = n;
    this.#resize(name, entry);
  }

  /** Takes over rates that have changed; what is in a bucket stays, up to its new burst. */
  refresh(): void {
    for (const [name, entry] of this.#entries) this.#resize(name, entry);
  }

  #resize(name: string, { bucket, divisor }: Entry): void {
    const { perSecond, burst } = this.#rateOf(name);
    bucket.resize(perSecond / divisor, Math.max(1, burst / divisor), this.#clock.monotonicMs());
  }

  release(name: string): void {
    const entry = this.#entries.get(name);
    if (entry) entry.holders -= 1;
  }

  #entryOf(name: string): Entry {
    let entry = this.#entries.get(name);
    if (!entry) {
      this.#sweep();
      const { perSecond, burst } = this.#rateOf(name);
      entry = { bucket: new TokenBucket(perSecond, burst, this.#clock.monotonicMs()), holders: 0, divisor: 1 };
      this.#entries.set(name, entry);
    }
    return entry;
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
