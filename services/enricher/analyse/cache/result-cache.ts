import { LRUCache } from 'lru-cache';
import type { Insight } from '../../../core/records.ts';
import { type PackedInsight, packInsight, unpackInsight } from '../../../platform/avro/packed-insight.ts';

export interface ResultCacheOptions {
  readonly maxBytes: number;
  readonly ttlMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** Memory of an entry besides the characters of key and insight: two strings and the cache's own lists, 135 to 160 bytes. */
const ENTRY_BYTES = 160;
/** No insight takes less: five numbers, and the lengths of three names and a list. */
const MIN_INSIGHT_BYTES = 44;
/** A character outside Latin-1 makes a string two bytes a unit; reckoned for all. */
const BYTES_PER_UNIT = 2;
const TTL_RESOLUTION_MS = 1_000;
/** Look-ups by which the cache is judged. */
const JUDGED_EVERY = 4_096;
/** While fewer of them than one in so many were hits … */
const WORTHWHILE_ONE_IN = 50;
/** … one result in so many is kept. */
const KEPT_ONE_IN = 8;

/** Reckoned memory of one entry, in bytes; never less than it takes. */
const entryBytes = (key: string, insight: PackedInsight): number =>
  ENTRY_BYTES + key.length * BYTES_PER_UNIT + insight.length;

/**
 * Insights by text key, the least recently used one going first once the reckoned bytes reach their bound. All are of
 * one model: as soon as an answer names another, whatever the last one said is forgotten.
 *
 * Where texts hardly ever come again, keeping a result costs more than it will save: its memory, which the garbage
 * collector moves to the old generation, was a tenth of all CPU. So while less than 2 % of the look-ups are hits, one result in
 * eight is kept: enough to notice that texts repeat again, since those that do so most are kept soonest.
 */
export class ResultCache {
  readonly #entries: LRUCache<string, PackedInsight>;
  #model: string | undefined;
  #hitsBefore = 0;
  #isSparing = false;
  /** Results that were offered while sparing. */
  #offered = 0;
  hits = 0;
  misses = 0;

  constructor({ maxBytes, ttlMs, now = () => performance.now() }: ResultCacheOptions) {
    this.#entries = new LRUCache({
      max: Math.max(1, Math.floor(maxBytes / (ENTRY_BYTES + MIN_INSIGHT_BYTES))),
      maxSize: maxBytes,
      ttl: ttlMs,
      // The clock is asked once a second, not at each look-up.
      ttlResolution: Math.min(TTL_RESOLUTION_MS, ttlMs),
      perf: { now },
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get entries(): number {
    return this.#entries.size;
  }

  get(key: string): Insight | undefined {
    const lookups = this.hits + this.misses;
    if (lookups > 0 && lookups % JUDGED_EVERY === 0) this.#judge();
    const packed = this.#entries.get(key);
    if (packed === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    return unpackInsight(packed);
  }

  /** Keeps it, or does not: see above. */
  set(key: string, insight: Insight): void {
    if (insight.model !== this.#model) {
      this.#entries.clear();
      this.#model = insight.model;
    }
    if (this.#isSparing && this.#offered++ % KEPT_ONE_IN !== 0) return;
    const packed = packInsight(insight);
    this.#entries.set(key, packed, { size: entryBytes(key, packed) });
  }

  #judge(): void {
    this.#isSparing = (this.hits - this.#hitsBefore) * WORTHWHILE_ONE_IN < JUDGED_EVERY;
    this.#hitsBefore = this.hits;
  }
}
