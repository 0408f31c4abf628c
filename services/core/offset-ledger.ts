/** How far completions may run ahead of the oldest unfinished offset. Bounds memory (2 KiB) and the encoding. */
export const LEDGER_SPAN = 16_384;

/**
 * Which offsets of one partition are complete, when work finishes out of order (design §4.1).
 *
 *     offset   41 42 43 44 45 46 47 48
 *     state     ✓  ✓  ·  ✓  ·  ✓  ✓        ✓ complete   · in flight
 *                     ▲              ▲
 *               watermark 43      next 48
 *
 * The *low watermark* is the first offset that is not complete; all below are. Completed offsets above it are kept in a
 * ring of LEDGER_SPAN bits. A gap (offsets that retention removed) is one range that completes as a whole.
 */
export class OffsetLedger {
  readonly #bits = new Uint8Array(LEDGER_SPAN >> 3);
  readonly #gaps = new Map<number, { readonly last: number; done: boolean }>();
  #watermark: number;
  #next: number;
  /** Completed offsets above the watermark, gaps not counted. */
  #ahead = 0;

  /** @param completed offsets above `watermark` that were complete before, as recovered from commit metadata. */
  constructor(watermark: number, completed: Iterable<number> = []) {
    this.#watermark = watermark;
    this.#next = watermark;
    for (const offset of completed) {
      if (offset <= watermark || offset >= watermark + LEDGER_SPAN) continue;
      if (!this.#has(offset)) {
        this.#set(offset);
        this.#ahead++;
      }
    }
  }

  /** Every offset below is complete; Kafka's committed offset. */
  get watermark(): number {
    return this.#watermark;
  }

  /** The offset to be taken next. */
  get next(): number {
    return this.#next;
  }

  /** Completed offsets above the watermark. */
  get completedAhead(): number {
    return this.#ahead;
  }

  /** Whether an offset is within the span; when not, the partition waits for its watermark. */
  hasRoomFor(offset: number): boolean {
    return offset - this.#watermark < LEDGER_SPAN;
  }

  isComplete(offset: number): boolean {
    return offset < this.#watermark || (this.hasRoomFor(offset) && this.#has(offset));
  }

  /** Marks an offset as started; offsets are taken in order. */
  take(offset: number): void {
    if (offset < this.#next) throw new RangeError(`offset ${offset} was taken already, next is ${this.#next}`);
    if (!this.hasRoomFor(offset)) throw new RangeError(`offset ${offset} is beyond the span above ${this.#watermark}`);
    this.#next = offset + 1;
    this.#advance();
  }

  /** Marks a range that the log no longer holds as one started item. */
  takeGap(first: number, last: number): void {
    if (first < this.#next) throw new RangeError(`gap at ${first} was taken already, next is ${this.#next}`);
    this.#gaps.set(first, { last, done: false });
    this.#next = last + 1;
  }

  /** Marks an offset, or the gap that begins there, as complete. Doing so twice changes nothing. */
  complete(offset: number): void {
    const gap = this.#gaps.get(offset);
    if (gap) gap.done = true;
    else if (offset >= this.#watermark && !this.#has(offset)) {
      this.#set(offset);
      this.#ahead++;
    }
    this.#advance();
  }

  /** Completed offsets above the watermark, ascending. */
  *completed(): Generator<number> {
    for (let offset = this.#watermark + 1, left = this.#ahead; left > 0; offset++) {
      if (!this.#has(offset)) continue;
      left--;
      yield offset;
    }
  }

  #advance(): void {
    for (;;) {
      const gap = this.#gaps.get(this.#watermark);
      if (gap?.done) {
        this.#gaps.delete(this.#watermark);
        this.#watermark = gap.last + 1;
      } else if (!gap && this.#watermark < this.#next && this.#has(this.#watermark)) {
        this.#clear(this.#watermark);
        this.#ahead--;
        this.#watermark++;
      } else return;
    }
  }

  #has(offset: number): boolean {
    const bit = offset % LEDGER_SPAN;
    return ((this.#bits[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
  }

  #set(offset: number): void {
    const bit = offset % LEDGER_SPAN;
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7));
  }

  #clear(offset: number): void {
    const bit = offset % LEDGER_SPAN;
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) & ~(1 << (bit & 7));
  }
}
