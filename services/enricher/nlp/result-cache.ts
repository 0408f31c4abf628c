import { LRUCache } from 'lru-cache';
import type { Insight } from '../../core/records.ts';

export interface ResultCacheOptions {
  readonly maxBytes: number;
  readonly ttlMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/**
 * Memory of an entry besides its key: the insight (nine fields, five of them boxed numbers), its strings and topics, and
 * the cache's own lists. Measured on the heap: 380 to 460 bytes with the reference API's answers.
 */
const ENTRY_BYTES = 512;
/** A character outside Latin-1 makes a string two bytes a unit; reckoned for all. */
const BYTES_PER_UNIT = 2;
const TTL_RESOLUTION_MS = 1_000;

/** Reckoned memory of one entry, in bytes; never less than it takes. */
const entryBytes = (key: string): number => ENTRY_BYTES + key.length * BYTES_PER_UNIT;

/**
 * Insights by text key, the least recently used one going first once the reckoned bytes reach their bound. All are of
 * one model: as soon as an answer names another, whatever the last one said is forgotten.
 */
export class ResultCache {
  readonly #entries: LRUCache<string, Insight>;
  #model: string | undefined;
  hits = 0;
  misses = 0;

  constructor({ maxBytes, ttlMs, now = () => performance.now() }: ResultCacheOptions) {
    this.#entries = new LRUCache({
      max: Math.max(1, Math.floor(maxBytes / ENTRY_BYTES)),
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
    const insight = this.#entries.get(key);
    if (insight) this.hits++;
    else this.misses++;
    return insight;
  }

  set(key: string, insight: Insight): void {
    if (insight.model !== this.#model) {
      this.#entries.clear();
      this.#model = insight.model;
    }
    this.#entries.set(key, insight, { size: entryBytes(key) });
  }
}
