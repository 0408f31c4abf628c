interface RecentSet {
  readonly records: Buffer;
  readonly takenAtMs: number;
}

/**
 * The record sets of the last seconds, as they were fetched. A socket that has just been opened may have missed the
 * insights of its predecessor in the moment between the two: they are looked for here. Bounded by age and bytes.
 */
export class RecentSets {
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  #sets: RecentSet[] = [];
  #bytes = 0;

  constructor({ maxBytes, maxAgeMs }: { maxBytes: number; maxAgeMs: number }) {
    this.#maxBytes = maxBytes;
    this.#maxAgeMs = maxAgeMs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(records: Buffer, nowMs: number): void {
    this.#sets.push({ records, takenAtMs: nowMs });
    this.#bytes += records.length;
    this.#expire(nowMs);
  }

  /** Oldest first. */
  all(nowMs: number): readonly Buffer[] {
    this.#expire(nowMs);
    return this.#sets.map(({ records }) => records);
  }

  clear(): void {
    this.#sets = [];
    this.#bytes = 0;
  }

  #expire(nowMs: number): void {
    let gone = 0;
    for (const { records, takenAtMs } of this.#sets) {
      if (this.#bytes <= this.#maxBytes && nowMs - takenAtMs <= this.#maxAgeMs) break;
      this.#bytes -= records.length;
      gone += 1;
    }
    if (gone > 0) this.#sets.splice(0, gone);
  }
}
