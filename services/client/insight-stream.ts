import type { Insight } from './frames.ts';

/**
 * Insights in the order in which they came, for `for await`. Bounded: who reads too slowly loses the oldest, counted.
 * Leaving a loop ends that loop alone; the next one goes on with what has come meanwhile. Of several loops at once each
 * insight goes to one.
 */
export class InsightStream implements AsyncIterable<Insight> {
  readonly #maxBuffered: number;
  readonly #onDropped: () => void;
  #buffered: Insight[] = [];
  #waiting: ((result: IteratorResult<Insight, undefined>) => void)[] = [];
  #ended = false;

  constructor(maxBuffered: number, onDropped: () => void) {
    this.#maxBuffered = maxBuffered;
    this.#onDropped = onDropped;
  }

  /** Insights that wait for a reader. */
  get buffered(): number {
    return this.#buffered.length;
  }

  push(insight: Insight): void {
    const reader = this.#waiting.shift();
    if (reader) {
      reader({ value: insight, done: false });
      return;
    }
    this.#buffered.push(insight);
    if (this.#buffered.length <= this.#maxBuffered) return;
    this.#buffered.shift();
    this.#onDropped();
  }

  /** What is buffered can still be read; then loops end. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#waiting.splice(0)) reader({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): AsyncIterator<Insight, undefined> {
    return { next: () => this.#next() };
  }

  #next(): Promise<IteratorResult<Insight, undefined>> {
    const value = this.#buffered.shift();
    if (value) return Promise.resolve({ value, done: false });
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
