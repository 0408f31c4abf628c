import pLimit from 'p-limit';

type Run = <T>(insert: () => Promise<T>) => Promise<T>;

/**
 * Bounds how many inserts are under way at once. What has failed before gets half of the slots: blocks that hang until
 * their time-out, again and again, would otherwise hold all of them, and with them every other partition.
 */
export class InsertSlots {
  readonly #all: Run;
  readonly #again: Run;

  constructor(slots: number) {
    this.#all = pLimit(slots);
    this.#again = pLimit(Math.max(1, Math.floor(slots / 2)));
  }

  /** @param failures of this insert so far. */
  run<T>(failures: number, insert: () => Promise<T>): Promise<T> {
    return failures === 0 ? this.#all(insert) : this.#again(() => this.#all(insert));
  }
}
