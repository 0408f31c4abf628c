/**
 * Which of the most recent offsets of one source partition have a receipt: a ring of bits over
 * `[floor, floor + capacity)`. Everything from `floor` on is known here; what lies below has to be looked up. The
 * enricher's outcomes span at most 16,384 offsets, so the window holds all that is normally asked for in 4 KiB.
 */
export class ReceiptWindow {
  readonly #capacity: number;
  readonly #bits: Uint8Array;
  #floor: number;

  /** @param capacity a power of two. */
  constructor(floor: number, capacity = 32_768) {
    this.#floor = Math.max(0, floor);
    this.#capacity = capacity;
    this.#bits = new Uint8Array(capacity / 8);
  }

  get floor(): number {
    return this.#floor;
  }

  /** Whether the offset is taken; undefined when it lies below the window. */
  has(offset: number): boolean | undefined {
    if (offset < this.#floor) return undefined;
    if (offset >= this.#floor + this.#capacity) return false;
    const bit = offset % this.#capacity;
    return ((this.#bits[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  }

  /** Takes `first..last`; the window moves up so that `last` fits, forgetting what falls below. */
  add(first: number, last = first): void {
    this.#advance(last - this.#capacity + 1);
    for (let offset = Math.max(first, this.#floor); offset <= last; offset++) this.#set(offset, true);
  }

  #advance(floor: number): void {
    if (floor <= this.#floor) return;
    if (floor - this.#floor >= this.#capacity) this.#bits.fill(0);
    else for (let offset = this.#floor; offset < floor; offset++) this.#set(offset, false);
    this.#floor = floor;
  }

  #set(offset: number, taken: boolean): void {
    const bit = offset % this.#capacity;
    const byte = this.#bits[bit >> 3] ?? 0;
    this.#bits[bit >> 3] = taken ? byte | (1 << (bit & 7)) : byte & ~(1 << (bit & 7));
  }
}
