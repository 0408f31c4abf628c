/** Items that are due within this of each other are told together: a timer each would cost more than the wait. */
const GRAIN_MS = 5;

/**
 * Deadlines of one kind: whatever is added later is due later, give or take. One timer serves them all, and adding and
 * deleting an item costs a tenth of a timer. An item that is due before its predecessors is told with them.
 */
export class DeadlineQueue<Item> {
  readonly #dueAtMs = new Map<Item, number>();
  readonly #onDue: (item: Item) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds. */
  constructor(onDue: (item: Item) => void, now: () => number = () => performance.now()) {
    this.#onDue = onDue;
    this.#now = now;
  }

  get size(): number {
    return this.#dueAtMs.size;
  }

  add(item: Item, dueAtMs: number): void {
    this.#dueAtMs.set(item, dueAtMs);
    if (this.#timer === undefined) this.#arm(dueAtMs);
  }

  /** Whether it was still waiting. */
  delete(item: Item): boolean {
    return this.#dueAtMs.delete(item);
  }

  clear(): void {
    this.#dueAtMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(dueAtMs: number): void {
    this.#timer = setTimeout(() => this.#tell(), Math.max(dueAtMs - this.#now(), 0) + GRAIN_MS);
  }

  #tell(): void {
    this.#timer = undefined;
    const now = this.#now();
    for (const [item, dueAtMs] of this.#dueAtMs) {
      if (dueAtMs > now) {
        // Whoever was told may have added an item, and armed the timer for it.
        if (this.#timer === undefined) this.#arm(dueAtMs);
        return;
      }
      this.#dueAtMs.delete(item);
      this.#onDue(item);
    }
  }
}
