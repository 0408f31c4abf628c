import type { Clock } from '../../core/clock.ts';
import type { BudgetSource, Rate, RateOf } from './budget.ts';
import type { Bucket, Buckets } from './token-bucket.ts';

export interface LeasedTokenBucketOptions extends Rate {
  readonly source: BudgetSource;
  /** Processes that lease from the source: each may hold up to half the burst divided by these. */
  readonly sharers: number;
  readonly clock: Clock;
  /** The rates of names that may have others; asked again at `refresh`. */
  readonly rateOf?: RateOf | undefined;
}

/** Share of a burst that the source keeps; the leased buckets of all processes hold the rest. */
export const SOURCE_BURST_SHARE = 0.5;

/**
 * One process's part of one budget. Taking a token is a subtraction. At half a bucket more is leased; the other half
 * pays for the messages that arrive meanwhile.
 */
class LeasedTokenBucket implements Bucket {
  holders = 0;
  asking = false;
  lastUsedMs: number;
  tokens: number;
  retryAtMs = 0;
  rate: Rate;
  readonly name: string;
  readonly #table: LeasedTokenBuckets;
  #refusedInARow = 0;

  constructor(name: string, rate: Rate, table: LeasedTokenBuckets, nowMs: number) {
    this.name = name;
    this.rate = rate;
    this.#table = table;
    this.tokens = this.capacity;
    this.lastUsedMs = nowMs;
  }

  get capacity(): number {
    return this.#table.capacityFor(this.rate);
  }

  available(nowMs: number): number {
    this.lastUsedMs = nowMs;
    if (this.tokens < 1 && nowMs >= this.retryAtMs) this.#table.ask(this);
    return this.tokens;
  }

  take(count = 1): void {
    this.tokens -= count;
    this.#refusedInARow = 0;
    if (this.tokens <= this.capacity / 2 && this.lastUsedMs >= this.retryAtMs) this.#table.ask(this);
  }

  refuse(): number {
    this.#refusedInARow += 1;
    const waitMs = Math.max(0, this.retryAtMs - this.lastUsedMs);
    return Math.max(1, Math.ceil(waitMs + (this.#refusedInARow * 1_000) / this.rate.perSecond));
  }
}

const FIRST_SWEEP_AT = 1_024;

/**
 * Leased token buckets by name, filled in rounds: all requests of one turn of the event loop are one lease. Over any
 * stretch of time all sharers together let through no more than the rate and one burst, since tokens in buckets were
 * either taken from the source or belong to the half of the burst that the source does not have.
 */
export class LeasedTokenBuckets implements Buckets {
  readonly #options: LeasedTokenBucketOptions;
  readonly #rateOf: RateOf;
  readonly #buckets = new Map<string, LeasedTokenBucket>();
  #asking: LeasedTokenBucket[] = [];
  #sweepAt = FIRST_SWEEP_AT;

  constructor(options: LeasedTokenBucketOptions) {
    this.#options = options;
    this.#rateOf = options.rateOf ?? (() => options);
  }

  capacityFor({ burst }: Rate): number {
    return Math.max(1, Math.floor((burst * (1 - SOURCE_BURST_SHARE)) / this.#options.sharers));
  }

  /** Takes over rates that have changed; what is in a bucket stays, up to its new capacity. */
  refresh(): void {
    for (const bucket of this.#buckets.values()) {
      bucket.rate = this.#rateOf(bucket.name);
      bucket.tokens = Math.min(bucket.tokens, bucket.capacity);
    }
  }

  hold(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (!bucket) {
      this.#sweep();
      bucket = new LeasedTokenBucket(name, this.#rateOf(name), this, this.#options.clock.monotonicMs());
      this.#buckets.set(name, bucket);
    }
    bucket.holders += 1;
    return bucket;
  }

  release(name: string): void {
    const bucket = this.#buckets.get(name);
    if (bucket) bucket.holders -= 1;
  }

  ask(bucket: LeasedTokenBucket): void {
    if (bucket.asking) return;
    bucket.asking = true;
    this.#asking.push(bucket);
    if (this.#asking.length === 1) setImmediate(() => void this.#lease());
  }

  async #lease(): Promise<void> {
    const buckets = this.#asking;
    this.#asking = [];
    const { source, clock } = this.#options;
    const leases = await source
      .lease(buckets.map(({ name, tokens, capacity }) => [name, Math.max(0, capacity - tokens)]))
      .catch(() => undefined);
    const nowMs = clock.monotonicMs();
    for (const [index, bucket] of buckets.entries()) {
      // Without an answer a bucket gets one sharer's share of the rate, in steps.
      const [granted, waitMs] = leases?.[index] ?? [this.#shareOf(bucket.rate), STEP_MS];
      bucket.tokens = Math.min(bucket.capacity, bucket.tokens + granted);
      bucket.retryAtMs = nowMs + waitMs;
      bucket.asking = false;
    }
  }

  #shareOf({ perSecond }: Rate): number {
    return Math.max(1, Math.floor((perSecond * STEP_MS) / 1_000 / this.#options.sharers));
  }

  /** A bucket without holders stays until its budget would have filled again: a reconnect must not refill it. */
  #sweep(): void {
    if (this.#buckets.size < this.#sweepAt) return;
    const nowMs = this.#options.clock.monotonicMs();
    for (const [name, { holders, lastUsedMs, rate }] of this.#buckets) {
      const refillMs = (rate.burst / rate.perSecond) * 1_000;
      if (holders === 0 && lastUsedMs <= nowMs - refillMs) this.#buckets.delete(name);
    }
    this.#sweepAt = Math.max(FIRST_SWEEP_AT, this.#buckets.size * 2);
  }
}

const STEP_MS = 250;
