import { LRUCache } from 'lru-cache';
import type { Insight } from '../../core/records.ts';
import { type PackedInsight, packInsight, unpackInsight } from '../../platform/avro/packed-insight.ts';

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

/** Reckoned memory of one entry, in bytes; never less than it takes. */
const entryBytes = (key: string, insight: PackedInsight): number =>
  ENTRY_BYTES + key.length * BYTES_PER_UNIT + insight.length;

/**
 * Insights by text key, the least recently used one going first once the reckoned bytes reach their bound. All are of
 * one model: as soon as an answer names another, whatever the last one said is forgotten.
 */
export class ResultCache {
  readonly #entries: LRUCache<string, PackedInsight>;
  #model: string | undefined;
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
    const packed = this.#entries.get(key);
    if (packed === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    return unpackInsight(packed);
  }

  set(key: string, insight: Insight): void {
    if (insight.model !== this.#model) {
      this.#entries.clear();
      this.#model = insight.model;
    }
    const packed = packInsight(insight);
    this.#entries.set(key, packed, { size: entryBytes(key, packed) });
  }
}
