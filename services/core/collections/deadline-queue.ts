import { Link, LinkedList } from './linked-list.ts';

/** Items that are due within this of each other are reported together: a timer each would cost more than the wait. */
const GRAIN_MS = 5;

/** What may lie in a {@link DeadlineQueue}, in one at a time. */
export class Due extends Link {
  dueAtMs = 0;
}

/**
 * Deadlines of one kind: whatever is added later is due later, give or take. One timer serves them all, and adding and
 * deleting an item costs a few assignments. An item that is due before its predecessors is reported with them.
 */
export class DeadlineQueue<Item extends Due> {
  readonly #items = new LinkedList<Item>();
  readonly #onDue: (item: Item) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds. */
  constructor(onDue: (item: Item) => void, now: () => number = () => performance.now()) {
    this.#onDue = onDue;
    this.#now = now;
  }

  get size(): number {
    return this.#items.size;
  }

  add(item: Item, dueAtMs: number): void {
    item.dueAtMs = dueAtMs;
    this.#items.push(item);
    if (this.#timer === undefined) this.#arm(dueAtMs);
  }

  /** Whether it was still waiting. */
  delete(item: Item): boolean {
    return this.#items.delete(item);
  }

  clear(): void {
    this.#items.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(dueAtMs: number): void {
    this.#timer = setTimeout(() => this.#report(), Math.max(dueAtMs - this.#now(), 0) + GRAIN_MS);
  }

  #report(): void {
    this.#timer = undefined;
    const now = this.#now();
    for (let item = this.#items.first; item; item = this.#items.first) {
      if (item.dueAtMs > now) {
        // The callback may have added an item, and armed the timer for it.
        if (this.#timer === undefined) this.#arm(item.dueAtMs);
        return;
      }
      this.#items.delete(item);
      this.#onDue(item);
    }
  }
}
