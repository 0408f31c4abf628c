/** How far completions may run ahead of the oldest unfinished offset. Bounds memory (2 KiB) and the encoding. */
export const LEDGER_SPAN = 16_384;

/** Offsets `first..last` that complete as a whole. */
interface Gap {
  readonly first: number;
  readonly last: number;
  done: boolean;
}

/**
 * Which offsets of one partition are complete, when work finishes out of order (docs/architecture.md, Enricher).
 *
 *     offset   41 42 43 44 45 46 47 48
 *     state     ✓  ✓  ·  ✓  ·  ✓  ✓        ✓ complete   · in flight
 *                     ▲              ▲
 *               watermark 43      next 48
 *
 * The *low watermark* is the first offset that is not complete; all below are. Completed offsets above it are bits in a
 * ring, each at its offset modulo the span. Two offsets a span apart share a bit, so a bit is set only within the span
 * above the watermark, and the watermark clears every bit that it passes. A gap (offsets without a record, however many)
 * is one range apart from the ring.
 */
export class OffsetLedger {
  /** How far completions may run ahead of the watermark. */
  readonly span: number;
  readonly #bits: Uint8Array;
  /** By first offset, ascending: gaps that the watermark has not passed. */
  readonly #gaps = new Map<number, Gap>();
  #watermark: number;
  /** The first offset that was not taken. */
  #untaken: number;
  /** Bits that are set. */
  #ahead = 0;

  /**
   * @param completed offsets above `watermark` that were complete before, as recovered from commit metadata.
   * @param span how far completions may run ahead; a multiple of 8.
   */
  constructor(watermark: number, completed: Iterable<number> = [], span = LEDGER_SPAN) {
    this.span = span;
    this.#bits = new Uint8Array(span >> 3);
    this.#watermark = watermark;
    this.#untaken = watermark;
    for (const offset of completed) {
      if (offset > watermark && this.hasRoomFor(offset)) this.#set(offset);
    }
  }

  /** Every offset below is complete; Kafka's committed offset. */
  get watermark(): number {
    return this.#watermark;
  }

  /** The first offset that was neither taken nor, by an earlier instance, completed below the watermark. */
  get next(): number {
    return Math.max(this.#untaken, this.#watermark);
  }

  /** Completed offsets above the watermark, gaps not counted. */
  get completedAhead(): number {
    return this.#ahead;
  }

  /** Whether an offset is within the span; when not, the partition waits for its watermark. */
  hasRoomFor(offset: number): boolean {
    return offset - this.#watermark < this.span;
  }

  isComplete(offset: number): boolean {
    if (offset < this.#watermark || (this.hasRoomFor(offset) && this.#has(offset))) return true;
    return offset < this.#untaken && this.#gapOver(offset)?.done === true;
  }

  /** Marks an offset as started; offsets are taken in order. */
  take(offset: number): void {
    if (offset < this.#untaken) throw new RangeError(`offset ${offset} was taken already, next is ${this.#untaken}`);
    if (!this.hasRoomFor(offset)) throw new RangeError(`offset ${offset} is beyond the span above ${this.#watermark}`);
    this.#untaken = offset + 1;
  }

  /** Marks a range without records as one started item. It needs no room: it may be larger than the span, and lie beyond. */
  takeGap(first: number, last: number): void {
    if (first < this.#untaken) throw new RangeError(`gap at ${first} was taken already, next is ${this.#untaken}`);
    if (last < first) throw new RangeError(`a gap from ${first} cannot end at ${last}`);
    this.#gaps.set(first, { first, last, done: false });
    this.#untaken = last + 1;
  }

  /** Marks an offset, or the gap that begins there, as complete. Doing so twice changes nothing. */
  complete(offset: number): void {
    const gap = this.#gaps.get(offset);
    if (gap) gap.done = true;
    else if (offset >= this.#untaken) throw new RangeError(`offset ${offset} was not taken, next is ${this.#untaken}`);
    else if (offset >= this.#watermark && !this.#has(offset)) this.#set(offset);
    this.#advance();
  }

  /** Completed offsets above the watermark, ascending, gaps left out. */
  *completed(): Generator<number> {
    for (let offset = this.#watermark + 1, left = this.#ahead; left > 0; offset++) {
      if (!this.#has(offset)) continue;
      left--;
      yield offset;
    }
  }

  #advance(): void {
    for (;;) {
      const gap = this.#firstGap();
      if (gap?.done && gap.first <= this.#watermark) this.#moveTo(gap.last + 1);
      else if (this.#has(this.#watermark)) this.#moveTo(this.#watermark + 1);
      else return;
    }
  }

  /** The one way for the watermark to move: what it passes leaves no trace behind. */
  #moveTo(watermark: number): void {
    const end = Math.min(watermark, this.#watermark + this.span);
    for (let offset = this.#watermark; offset < end && this.#ahead > 0; offset++) {
      if (this.#has(offset)) this.#clear(offset);
    }
    this.#watermark = watermark;
    for (let gap = this.#firstGap(); gap && gap.last < watermark; gap = this.#firstGap()) this.#gaps.delete(gap.first);
  }

  #firstGap(): Gap | undefined {
    return this.#gaps.size === 0 ? undefined : this.#gaps.values().next().value;
  }

  #gapOver(offset: number): Gap | undefined {
    return this.#gaps.values().find(({ first, last }) => first <= offset && offset <= last);
  }

  #has(offset: number): boolean {
    const bit = offset % this.span;
    return ((this.#bits[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
  }

  #set(offset: number): void {
    if (this.#has(offset)) return;
    const bit = offset % this.span;
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7));
    this.#ahead++;
  }

  #clear(offset: number): void {
    const bit = offset % this.span;
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) & ~(1 << (bit & 7));
    this.#ahead--;
  }
}
