import { crc32 } from 'node:zlib';
import type { Clock } from '../core/clock.ts';
import type { MessageKey } from './message-key.ts';

/** An insert-only set of 32-bit numbers: open addressing at half load, 8 bytes an entry (a JS Set takes about 40). */
class Uint32Set {
  #slots = new Uint32Array(1_024);
  #hasZero = false;
  size = 0;

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

/** Two generations of this many keys are 32 MiB a partition at the very most. */
const MAX_GENERATION = 1 << 20;

/**
 * Message keys seen in one partition within the last while, as CRC-32 hashes: a prefilter, so a false hit (one in
 * 4,300 at a million keys) only costs a look-up. ClickHouse computes the same hash, which makes a rebuild cheap.
 */
export class RecentKeys {
  readonly #clock: Clock;
  readonly #windowMs: number;
  #current = new Uint32Set();
  #previous = new Uint32Set();
  #rotatedAtMs: number;

  /** @param windowMs keys are remembered at least this long, at most twice as long. */
  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#rotatedAtMs = clock.monotonicMs();
  }

  add(hash: number): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#rotatedAtMs >= this.#windowMs || this.#current.size >= MAX_GENERATION) {
      this.#previous = this.#current;
      this.#current = new Uint32Set();
      this.#rotatedAtMs = now;
    }
    this.#current.add(hash);
  }

  mayHave(hash: number): boolean {
    return this.#current.has(hash) || this.#previous.has(hash);
  }
}

/** The same as {@link KEY_HASH_SQL}. */
export const hashOf = (key: MessageKey): number =>
  crc32(`${key.tenant_id}\0${key.bot_id}\0${key.conversation_id}\0${key.message_id}`);

/** {@link hashOf} over the columns of `messages`. */
export const KEY_HASH_SQL = `CRC32(concat(tenant_id, '\\0', bot_id, '\\0', conversation_id, '\\0', message_id))`;
