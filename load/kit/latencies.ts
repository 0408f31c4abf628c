const BUCKET_MS = 0.1;
const BUCKETS = 50_000;

/** Latencies in buckets of 0.1 ms up to 5 s, which can be added up over processes. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #highest = 0;

  record(ms: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.floor(ms / BUCKET_MS)));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    if (bucket > this.#highest) this.#highest = bucket;
  }

  /** Counts from the first bucket to the last that is not empty. */
  buckets(): number[] {
    return [...this.#counts.subarray(0, this.#highest + 1)];
  }
}

/** Milliseconds below which this share of all values lies. */
export function percentile(parts: readonly (readonly number[])[], share: number): number {
  const total = parts.flat().reduce((sum, count) => sum + count, 0);
  const longest = Math.max(0, ...parts.map(({ length }) => length));
  let seen = 0;
  for (let bucket = 0; bucket < longest; bucket++) {
    for (const part of parts) seen += part[bucket] ?? 0;
    if (seen >= total * share) return Math.round((bucket + 1) * BUCKET_MS * 10) / 10;
  }
  return 0;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}
