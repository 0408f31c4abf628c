const SLOTS = 12;

/** Counts successes and failures of the last while in twelve slots, and forgets a twelfth at a time. */
export class FailureWindow {
  readonly #slotMs: number;
  readonly #now: () => number;
  readonly #failed = new Int32Array(SLOTS);
  readonly #all = new Int32Array(SLOTS);
  #present: number;

  /** @param now monotonic milliseconds. */
  constructor(windowMs: number, now: () => number) {
    this.#slotMs = windowMs / SLOTS;
    this.#now = now;
    this.#present = this.#slotAt();
  }

  add(failed: boolean, count = 1): void {
    this.#forget();
    const index = this.#present % SLOTS;
    this.#all[index] = (this.#all[index] ?? 0) + count;
    if (failed) this.#failed[index] = (this.#failed[index] ?? 0) + count;
  }

  counts(): { readonly failed: number; readonly all: number } {
    this.#forget();
    const sum = (counts: Int32Array) => counts.reduce((total, count) => total + count, 0);
    return { failed: sum(this.#failed), all: sum(this.#all) };
  }

  clear(): void {
    this.#failed.fill(0);
    this.#all.fill(0);
  }

  #slotAt(): number {
    return Math.floor(this.#now() / this.#slotMs);
  }

  #forget(): void {
    const slot = this.#slotAt();
    if (slot - this.#present >= SLOTS) this.clear();
    else {
      for (let passed = this.#present + 1; passed <= slot; passed++) {
        this.#failed[passed % SLOTS] = 0;
        this.#all[passed % SLOTS] = 0;
      }
    }
    this.#present = slot;
  }
}
