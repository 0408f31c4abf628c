export interface CadenceLimits {
  readonly minAgeMs: number;
  readonly maxAgeMs: number;
}

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
