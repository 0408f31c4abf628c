import type { Clock } from '../../core/clock.ts';
import { BucketTable, type Rate, type RateOf } from './token-bucket.ts';

export type { Rate, RateOf } from './token-bucket.ts';

/** How many tokens of a name's budget a process would like to have. */
export type Ask = readonly [name: string, wanted: number];
/** Tokens that it gets, and milliseconds until there are more. */
export type Lease = readonly [granted: number, waitMs: number];

/** Keeps budgets that several processes share. Leased tokens count as used. */
export interface BudgetSource {
  /** One lease an ask, in their order. Rejects when the budgets can not be reached. */
  lease(asks: readonly Ask[]): Promise<readonly Lease[]>;
}

/** Budgets in the memory of this process. */
export class LocalBudget implements BudgetSource {
  readonly #table: BucketTable;
  readonly #clock: Clock;

  constructor(rate: Rate, clock: Clock, rateOf?: RateOf) {
    this.#table = new BucketTable({ ...rate, clock, rateOf });
    this.#clock = clock;
  }

  /** Takes over rates that have changed. */
  refresh(): void {
    this.#table.refresh();
  }

  async lease(asks: readonly Ask[]): Promise<readonly Lease[]> {
    const nowMs = this.#clock.monotonicMs();
    return asks.map(([name, wanted]) => {
      const bucket = this.#table.peek(name);
      const granted = Math.min(Math.floor(wanted), bucket.available(nowMs));
      if (granted < 1) return [0, bucket.refuse()];
      bucket.take(granted);
      return [granted, 0];
    });
  }
}

/**
 * Asks the shared budget, and the local one while the shared one is away; after a failure it is left alone for a second,
 * so that an outage costs one time-out a second and not one a lease.
 */
export class InsuredBudget implements BudgetSource {
  readonly #shared: BudgetSource;
  readonly #local: BudgetSource;
  readonly #clock: Clock;
  readonly #onChange: (shared: boolean, error?: unknown) => void;
  #isShared = true;
  #retryAtMs = 0;

  constructor(options: {
    shared: BudgetSource;
    local: BudgetSource;
    clock: Clock;
    onChange: (shared: boolean, error?: unknown) => void;
  }) {
    this.#shared = options.shared;
    this.#local = options.local;
    this.#clock = options.clock;
    this.#onChange = options.onChange;
  }

  get isShared(): boolean {
    return this.#isShared;
  }

  async lease(asks: readonly Ask[]): Promise<readonly Lease[]> {
    if (this.#isShared || this.#clock.monotonicMs() >= this.#retryAtMs) {
      try {
        const leases = await this.#shared.lease(asks);
        if (!this.#isShared) this.#onChange(true);
        this.#isShared = true;
        return leases;
      } catch (error) {
        this.#retryAtMs = this.#clock.monotonicMs() + RETRY_MS;
        if (this.#isShared) this.#onChange(false, error);
        this.#isShared = false;
      }
    }
    return await this.#local.lease(asks);
  }
}

const RETRY_MS = 1_000;
