/** Items that are due within this of each other are reported together. */
const GRAIN_MS = 10;
/** Budgets above this get no early answer: an item is held in memory until it is due. */
const MAX_AHEAD_MS = 60_000;

/**
 * Reports items whose time has come, unless they were settled before. Latency budgets run out in no particular order
 * (partitions are of different ages), so items lie in slots of 10 ms; one timer serves them all and stands still while
 * there are none. Adding costs a map look-up, settling a flag.
 */
export class BudgetEdge<Item extends { readonly settled: boolean }> {
  readonly #onDue: (item: Item) => void;
  readonly #now: () => number;
  readonly #slots = new Map<number, Item[]>();
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds. */
  constructor(onDue: (item: Item) => void, now: () => number = () => performance.now()) {
    this.#onDue = onDue;
    this.#now = now;
  }

  /** @param aheadMs how long until the item is due; one that is due already, or much later, is not taken. */
  add(item: Item, aheadMs: number): boolean {
    if (!(aheadMs > 0 && aheadMs <= MAX_AHEAD_MS)) return false;
    const now = this.#now();
    if (this.#timer === undefined) {
      this.#next = Math.floor(now / GRAIN_MS);
      this.#timer = setInterval(() => this.#report(), GRAIN_MS);
    }
    // Rounded down: early by the grain at most. The present slot may have been reported already.
    const slot = Math.max(Math.floor((now + aheadMs) / GRAIN_MS), this.#next);
    const items = this.#slots.get(slot);
    if (items) items.push(item);
    else this.#slots.set(slot, [item]);
    return true;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#slots.clear();
  }

  #report(): void {
    const present = Math.floor(this.#now() / GRAIN_MS);
    for (; this.#next <= present; this.#next++) {
      const items = this.#slots.get(this.#next);
      if (items === undefined) continue;
      this.#slots.delete(this.#next);
      for (const item of items) if (!item.settled) this.#onDue(item);
    }
    if (this.#slots.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}
