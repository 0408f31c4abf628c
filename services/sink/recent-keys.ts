import type { Clock } from '../core/clock.ts';
import type { ChatOutcome } from '../core/records.ts';
import type { LateKeys, SourcePartition } from './receipt-queries.ts';

/** An insert-only set of 32-bit numbers: open addressing at half load, 8 bytes an entry (a JS Set takes about 40). */
class Uint32Set {
  #slots: Uint32Array;
  #hasZero = false;
  size = 0;

  /** @param room for so many numbers before it has to grow: moving ten million takes half a second. */
  constructor(room = 512) {
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(512, room))) * 2);
  }

  has(value: number): boolean {
    return value === 0 ? this.#hasZero : this.#slots[this.#slotOf(value)] === value;
  }

  add(value: number): void {
    if (this.has(value)) return;
    this.size++;
    if (value === 0) {
      this.#hasZero = true;
      return;
    }
    if (this.size * 2 > this.#slots.length) this.#grow();
    this.#slots[this.#slotOf(value)] = value;
  }

  #slotOf(value: number): number {
    const mask = this.#slots.length - 1;
    // Fibonacci hashing spreads what CRC leaves clustered.
    let slot = (Math.imul(value, 0x9e3779b1) >>> 0) & mask;
    while (this.#slots[slot] !== 0 && this.#slots[slot] !== value) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (const value of old) if (value !== 0) this.#slots[this.#slotOf(value)] = value;
  }
}

/**
 * Half an hour of 9,300 messages/s, where chat.enriched has one partition. At 1,000 messages/s two generations of half an
 * hour are 32 MiB, at this bound 256 MiB a partition, and 384 MiB while one that was forgotten is not collected yet.
 */
const MAX_GENERATION = 1 << 24;

type LoadKeys = (source: SourcePartition, windowMs: number) => Promise<LateKeys>;

/**
 * Message keys seen within the last while in the source partitions that are at home here, as CRC-32 hashes: a prefilter,
 * so a false hit (one in 4,300 at a million keys, one in 130 at 33 million) only costs a look-up. ClickHouse computes the same hash and keeps it
 * beside the receipts, from which the keys of a source partition are loaded when it is first met.
 */
export class RecentKeys {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #load: LoadKeys;
  readonly #sources = new Set<string>();
  #current = new Uint32Set();
  #previous = new Uint32Set();
  #rotatedAtMs: number;
  /** Every key since then (monotonic) is remembered; all of them, as ClickHouse knew them, before a generation was forgotten. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  readonly #maxGeneration: number;
  /** Until then (monotonic) any key may have been seen. */
  #blindUntilMs = 0;

  /**
   * @param windowMs keys are remembered at least this long, at most twice as long.
   * @param maxGeneration where more come within the window, older ones are forgotten before it ends.
   */
  constructor(clock: Clock, windowMs: number, load: LoadKeys, maxGeneration = MAX_GENERATION) {
    this.#clock = clock;
    this.#maxGeneration = maxGeneration;
    this.#windowMs = windowMs;
    this.#load = load;
    this.#rotatedAtMs = clock.monotonicMs();
  }

  /** Loads what is known of source partitions that were not met before. */
  async open(sources: readonly SourcePartition[]): Promise<void> {
    const unmet = new Map(sources.map((source) => [`${source.topicId}/${source.partition}`, source]));
    for (const key of this.#sources) unmet.delete(key);
    for (const [key, source] of unmet) {
      const { crcs, isPartial } = await this.#load(source, this.#windowMs);
      for (const crc of crcs) this.add(crc);
      if (isPartial) this.#blindUntilMs = this.#clock.monotonicMs() + this.#windowMs;
      this.#sources.add(key);
    }
  }

  add(crc: number): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#rotatedAtMs >= this.#windowMs || this.#current.size >= this.#maxGeneration) {
      if (this.#previous.size > 0) this.#sinceMs = this.#rotatedAtMs;
      this.#previous = this.#current;
      this.#current = new Uint32Set(this.#previous.size);
      this.#rotatedAtMs = now;
    }
    this.#current.add(crc);
  }

  mayHave(crc: number): boolean {
    return this.#clock.monotonicMs() < this.#blindUntilMs || this.#current.has(crc) || this.#previous.has(crc);
  }

  /** Whether a first record of this message could have come before what is remembered here: it was sent so long ago. */
  mayBeOlder({ received_at, sent_at, sent_at_original }: ChatOutcome): boolean {
    const rememberedMs = Math.min(this.#windowMs, this.#clock.monotonicMs() - this.#sinceMs);
    return received_at - Math.min(sent_at, sent_at_original ?? sent_at) > rememberedMs;
  }
}
