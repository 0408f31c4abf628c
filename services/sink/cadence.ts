export interface CadenceLimits {
  readonly minAgeMs: number;
  readonly maxAgeMs: number;
}

/** Long enough that fetches cost little, short of a block's age by far: what came meanwhile is as old as it is. */
const MAX_FETCH_WAIT_MS = 500;

/** How long a fetch may wait in Kafka for more: a record can be so old when it comes. */
export const fetchWaitMsFor = (minAgeMs: number): number => Math.min(MAX_FETCH_WAIT_MS, Math.ceil(minAgeMs / 3));

/** The least time between two blocks of a partition that are not full: the first record of the second may have waited. */
export const blockGapMsFor = (minAgeMs: number): number => minAgeMs - fetchWaitMsFor(minAgeMs);

/** Inserting may take this share of the time: what a block costs is its parts, so fewer and larger ones are cheaper. */
const TARGET_SHARE = 0.25;
const SMOOTHING = 0.2;

/**
 * How old a block may grow before it closes. With `p` busy partitions and inserts of `c` milliseconds each, blocks of
 * age `a` take `p * c / a` of the time, so `a = p * c / share`, between the limits. Two partitions at 60 ms an insert keep
 * to the least age and are fresh within 1 to 1.5 s; a ClickHouse that takes 500 ms gets blocks of 4 s.
 */
export class Cadence {
  readonly #limits: CadenceLimits;
  readonly #busyPartitions: () => number;
  #insertMs = 0;

  constructor(limits: CadenceLimits, busyPartitions: () => number) {
    this.#limits = limits;
    this.#busyPartitions = busyPartitions;
  }

  observe(insertMs: number): void {
    this.#insertMs = this.#insertMs === 0 ? insertMs : this.#insertMs + SMOOTHING * (insertMs - this.#insertMs);
  }

  get ageMs(): number {
    const wanted = (this.#busyPartitions() * this.#insertMs) / TARGET_SHARE;
    return Math.min(this.#limits.maxAgeMs, Math.max(this.#limits.minAgeMs, wanted));
  }
}
