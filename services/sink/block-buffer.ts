import type { Clock } from '../core/clock.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';

export interface BufferLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
  /**
   * How long a record may have lain in Kafka until its fetch came back: that much of it counts to its age. What is older
   * waited for us, or bears the time of a wrong clock.
   */
  readonly fetchWaitMs: number;
}

/** Where fetching can be held up. */
export interface Valve {
  pause(): void;
  resume(): void;
}

/** Bytes of a record beyond key and value: its object, headers and place in the buffer. */
const OVERHEAD_BYTES = 300;
const costOf = (record: FetchedRecord): number => record.size + OVERHEAD_BYTES;

/**
 * What all partitions of the process hold together: at most `limitBytes`, and what one fetch brings each. Half of it is divided
 * evenly, so that a partition always has room of its own, however many others cannot go on; of the other half each may
 * take as much as is left.
 */
export class MemoryBudget {
  readonly #limit: number;
  readonly #buffers = new Set<BlockBuffer>();
  bytes = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** Bytes that a partition may hold as things stand: all of them where it is alone. */
  allowanceOf(buffer: BlockBuffer): number {
    const own = this.#limit / 2 / Math.max(this.#buffers.size, 1);
    let left = this.#limit / 2;
    for (const other of this.#buffers) if (other !== buffer) left -= Math.max(0, other.bytes - own);
    return own + Math.max(0, left);
  }

  join(buffer: BlockBuffer): void {
    this.#buffers.add(buffer);
  }

  leave(buffer: BlockBuffer): void {
    this.#buffers.delete(buffer);
    this.#adjustAll();
  }

  change(bytes: number): void {
    this.bytes += bytes;
    if (bytes < 0) this.#adjustAll();
  }

  #adjustAll(): void {
    for (const buffer of this.#buffers) buffer.adjust();
  }
}

/**
 * Records of one partition that wait for their block, in offset order. Fetching is paused at the limits (its own, and
 * what the budget allows) and resumed at half of them. Records of a block under way still count, until freed.
 */
export class BlockBuffer {
  readonly #valve: Valve;
  readonly #limits: BufferLimits;
  readonly #budget: MemoryBudget;
  readonly #clock: Clock;
  #records: FetchedRecord[] = [];
  #arrivals: { readonly upTo: number; readonly atMs: number }[] = [];
  #waitingBytes = 0;
  #heldBytes = 0;
  #heldRecords = 0;
  #paused = false;
  /** A block that has to be there whole, whatever its size: nothing is paused below this offset. */
  #neededUpTo = 0;
  /** The offset expected next. */
  position: number;

  constructor(valve: Valve, limits: BufferLimits, budget: MemoryBudget, startAt: number, clock: Clock) {
    this.#valve = valve;
    this.#limits = limits;
    this.#budget = budget;
    this.#clock = clock;
    this.position = startAt;
    budget.join(this);
  }

  /** Records that wait, those of the block under way not counted. */
  get length(): number {
    return this.#records.length;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get bytes(): number {
    return this.#waitingBytes + this.#heldBytes;
  }

  /** Since when the oldest waiting record is in Kafka (monotonic), or undefined when none waits. */
  get oldestAtMs(): number | undefined {
    return this.#records.length > 0 ? this.#arrivals[0]?.atMs : undefined;
  }

  /** The offset of the first waiting record, or the one expected next. */
  get head(): number {
    return this.#records[0]?.offset ?? this.position;
  }

  take(records: readonly FetchedRecord[]): void {
    const [first] = records;
    const last = records.at(-1);
    if (!first || !last) return;
    let bytes = 0;
    for (const record of records) {
      this.#records.push(record);
      bytes += costOf(record);
    }
    this.position = last.offset + 1;
    const waitedMs = Math.max(0, Math.min(this.#limits.fetchWaitMs, this.#clock.now() - first.timestamp));
    this.#arrivals.push({ upTo: last.offset, atMs: this.#clock.monotonicMs() - waitedMs });
    this.#waitingBytes += bytes;
    this.#budget.change(bytes);
    this.adjust();
  }

  /** The log holds no record for us between the position and `next`; nothing is expected there any more. */
  skipTo(next: number): void {
    this.position = Math.max(this.position, next);
    this.adjust();
  }

  /** Takes records out for a block: at least one, at most so many, and bytes. They count until {@link free}. */
  cut(maxRecords: number, maxBytes: number): FetchedRecord[] {
    let bytes = 0;
    let count = 0;
    for (const record of this.#records) {
      bytes += costOf(record);
      if (count > 0 && (count >= maxRecords || bytes > maxBytes)) break;
      count++;
    }
    return this.#remove(count);
  }

  /** Takes out every record below `offset`. */
  cutBelow(offset: number): FetchedRecord[] {
    const end = this.#records.findIndex((record) => record.offset >= offset);
    return this.#remove(end < 0 ? this.#records.length : end);
  }

  /** Puts back the tail of what was cut. */
  putBack(records: readonly FetchedRecord[]): void {
    if (records.length === 0) return;
    const bytes = records.reduce((sum, record) => sum + costOf(record), 0);
    this.#records = [...records, ...this.#records];
    this.#arrivals.unshift({ upTo: records.at(-1)?.offset ?? 0, atMs: this.#clock.monotonicMs() });
    this.#heldBytes -= bytes;
    this.#heldRecords -= records.length;
    this.#waitingBytes += bytes;
  }

  /** The block is in: its records are forgotten. */
  free(): void {
    const freed = this.#heldBytes;
    this.#heldBytes = 0;
    this.#heldRecords = 0;
    this.#budget.change(-freed);
    this.adjust();
  }

  need(upTo: number): void {
    this.#neededUpTo = upTo;
    this.adjust();
  }

  /** Drops everything and expects `position` next. */
  restartAt(position: number): void {
    const freed = this.bytes;
    this.#records = [];
    this.#arrivals = [];
    this.#waitingBytes = 0;
    this.#heldBytes = 0;
    this.#heldRecords = 0;
    this.position = position;
    this.#budget.change(-freed);
    this.adjust();
  }

  close(): void {
    this.restartAt(this.position);
    this.#budget.leave(this);
  }

  /** Opens or closes the valve. */
  adjust(): void {
    const records = this.#records.length + this.#heldRecords;
    const { maxRecords, maxBytes } = this.#limits;
    const isNeeded = this.position < this.#neededUpTo;
    const allowed = Math.min(maxBytes, this.#budget.allowanceOf(this));
    const isOver = records >= maxRecords || this.bytes >= allowed;
    const isLow = records <= maxRecords / 2 && this.bytes <= allowed / 2;
    if (!this.#paused && isOver && !isNeeded) {
      this.#paused = true;
      this.#valve.pause();
    } else if (this.#paused && (isLow || isNeeded)) {
      this.#paused = false;
      this.#valve.resume();
    }
  }

  #remove(count: number): FetchedRecord[] {
    const removed = this.#records.splice(0, count);
    const last = removed.at(-1)?.offset ?? -1;
    while ((this.#arrivals[0]?.upTo ?? Number.POSITIVE_INFINITY) <= last) this.#arrivals.shift();
    const bytes = removed.reduce((sum, record) => sum + costOf(record), 0);
    this.#waitingBytes -= bytes;
    this.#heldBytes += bytes;
    this.#heldRecords += removed.length;
    return removed;
  }
}
