import type { Clock } from '../../core/clock.ts';
import type { BudgetSource, Rate } from './budget.ts';
import type { Bucket, Buckets } from './token-bucket.ts';

export interface PurseOptions extends Rate {
  readonly source: BudgetSource;
  /** Processes that lease from the source: each may hold up to half the burst divided by these. */
  readonly sharers: number;
  readonly clock: Clock;
}

/** The half of a burst that may lie in purses; the source is given the other half. */
export const SOURCE_BURST_SHARE = 0.5;

/**
 * A process's part of one budget. Taking a token is a subtraction; when half the purse is gone more is leased, while the
 * other half pays for the messages of the meantime.
 */
class Purse implements Bucket {
  holders = 0;
  asking = false;
  lastUsedMs: number;
  tokens: number;
  retryAtMs = 0;
  readonly name: string;
  readonly #table: PurseTable;
  #refusedInARow = 0;

  constructor(name: string, table: PurseTable, nowMs: number) {
    this.name = name;
    this.#table = table;
    this.tokens = table.capacity;
    this.lastUsedMs = nowMs;
  }

  available(nowMs: number): number {
    this.lastUsedMs = nowMs;
    if (this.tokens < 1 && nowMs >= this.retryAtMs) this.#table.ask(this);
    return this.tokens;
  }

  take(): void {
    this.tokens -= 1;
    this.#refusedInARow = 0;
    if (this.tokens <= this.#table.capacity / 2 && this.lastUsedMs >= this.retryAtMs) this.#table.ask(this);
  }

  refuse(): number {
    this.#refusedInARow += 1;
    const waitMs = Math.max(0, this.retryAtMs - this.lastUsedMs);
    return Math.max(1, Math.ceil(waitMs + this.#refusedInARow / this.#table.perMs));
  }
}

const FIRST_SWEEP_AT = 1_024;

/**
 * Purses by name, filled in rounds: all that ask within one turn of the event loop are one request. Over any stretch of
 * time all sharers together let through no more than the rate and one burst: what lies in purses was taken from the
 * source or is part of the burst that the source does not have.
 */
export class PurseTable implements Buckets {
  readonly capacity: number;
  readonly perMs: number;
  readonly #options: PurseOptions;
  readonly #purses = new Map<string, Purse>();
  #asking: Purse[] = [];
  #sweepAt = FIRST_SWEEP_AT;

  constructor(options: PurseOptions) {
    this.#options = options;
    this.perMs = options.perSecond / 1_000;
    this.capacity = Math.max(1, Math.floor((options.burst * (1 - SOURCE_BURST_SHARE)) / options.sharers));
  }

  hold(name: string): Bucket {
    let purse = this.#purses.get(name);
    if (!purse) {
      this.#sweep();
      purse = new Purse(name, this, this.#options.clock.monotonicMs());
      this.#purses.set(name, purse);
    }
    purse.holders += 1;
    return purse;
  }

  release(name: string): void {
    const purse = this.#purses.get(name);
    if (purse) purse.holders -= 1;
  }

  ask(purse: Purse): void {
    if (purse.asking) return;
    purse.asking = true;
    this.#asking.push(purse);
    if (this.#asking.length === 1) setImmediate(() => void this.#lease());
  }

  async #lease(): Promise<void> {
    const purses = this.#asking;
    this.#asking = [];
    const { source, clock } = this.#options;
    const leases = await source
      .lease(purses.map(({ name, tokens }) => [name, this.capacity - tokens]))
      .catch(() => undefined);
    const nowMs = clock.monotonicMs();
    for (const [index, purse] of purses.entries()) {
      // A source that fails has no fallback of its own: the share of one sharer, in steps.
      const [granted, waitMs] = leases?.[index] ?? [this.#shareOf(STEP_MS), STEP_MS];
      purse.tokens = Math.min(this.capacity, purse.tokens + granted);
      purse.retryAtMs = nowMs + waitMs;
      purse.asking = false;
    }
  }

  #shareOf(stepMs: number): number {
    return Math.max(1, Math.floor((this.perMs * stepMs) / this.#options.sharers));
  }

  /** A purse that nobody holds stays until its budget would have filled again: a reconnect must not refill it. */
  #sweep(): void {
    if (this.#purses.size < this.#sweepAt) return;
    const { burst, perSecond, clock } = this.#options;
    const oldest = clock.monotonicMs() - (burst / perSecond) * 1_000;
    for (const [name, { holders, lastUsedMs }] of this.#purses) {
      if (holders === 0 && lastUsedMs <= oldest) this.#purses.delete(name);
    }
    this.#sweepAt = Math.max(FIRST_SWEEP_AT, this.#purses.size * 2);
  }
}

const STEP_MS = 250;
