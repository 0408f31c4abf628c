/**
 * Very many short delays with one timer: a slot a millisecond, all that is due handed back in one go. A timer each would
 * cost as much as the answer that waits for it.
 */
export class DelayWheel<T> {
  readonly #slots: T[][];
  readonly #due: (items: readonly T[]) => void;
  #atMs = Math.floor(performance.now());
  #size = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param maxMs longer delays are cut to this. */
  constructor(maxMs: number, due: (items: readonly T[]) => void) {
    this.#slots = Array.from({ length: maxMs + 2 }, () => []);
    this.#due = due;
  }

  add(item: T, delayMs: number): void {
    const nowMs = Math.floor(performance.now());
    if (this.#size === 0) {
      this.#atMs = nowMs;
      this.#timer = setInterval(() => this.#turn(), 1);
    }
    // Counted from where the wheel stands, which may be behind: at most a whole turn, or it would come out too early.
    const ahead = Math.min(nowMs - this.#atMs + Math.max(Math.round(delayMs), 1), this.#slots.length - 1);
    this.#slotAt(this.#atMs + ahead).push(item);
    this.#size++;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #turn(): void {
    const nowMs = Math.floor(performance.now());
    for (; this.#atMs < nowMs && this.#size > 0; ) {
      this.#atMs++;
      const slot = this.#slotAt(this.#atMs);
      if (slot.length === 0) continue;
      this.#slots[this.#atMs % this.#slots.length] = [];
      this.#size -= slot.length;
      this.#due(slot);
    }
    if (this.#size === 0) clearInterval(this.#timer);
  }

  #slotAt(ms: number): T[] {
    return this.#slots[ms % this.#slots.length] as T[];
  }
}
