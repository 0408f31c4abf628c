/** Counts of (label, answer) pairs, and the figures that come from them. */
export class Confusion {
  readonly #rows = new Map<string, Map<string, number>>();
  #total = 0;
  #right = 0;

  add(label: string, answer: string): void {
    const row = this.#rows.get(label) ?? new Map<string, number>();
    row.set(answer, (row.get(answer) ?? 0) + 1);
    this.#rows.set(label, row);
    this.#total += 1;
    if (label === answer) this.#right += 1;
  }

  get total(): number {
    return this.#total;
  }

  get labels(): readonly string[] {
    return [...this.#rows.keys()].sort();
  }

  get accuracy(): number {
    return this.#right / this.#total;
  }

  count(label: string): number {
    return [...(this.#rows.get(label)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  }

  recall(label: string): number {
    return (this.#rows.get(label)?.get(label) ?? 0) / this.count(label);
  }

  /** Harmonic mean of precision and recall: 2·TP / (2·TP + FP + FN), 0 when nothing was found. */
  f1(label: string): number {
    const hits = this.#rows.get(label)?.get(label) ?? 0;
    let answered = 0;
    for (const row of this.#rows.values()) answered += row.get(label) ?? 0;
    return (2 * hits) / (answered + this.count(label));
  }

  /** The plain mean of F1 over the labels of the data: rare ones weigh as much as frequent ones. */
  get macroF1(): number {
    const { labels } = this;
    return labels.reduce((sum, label) => sum + this.f1(label), 0) / labels.length;
  }

  /** The wrong answers of one label, most frequent first. */
  mistakes(label: string, limit: number): readonly (readonly [string, number])[] {
    return [...(this.#rows.get(label) ?? [])]
      .filter(([answer]) => answer !== label)
      .sort((a, b) => b[1] - a[1])
      .slice(0, limit);
  }
}

/**
 * The area under the ROC curve: how often a positive scores above a negative, ties counting half (Mann and Whitney's
 * U over the number of pairs).
 */
export function areaUnderCurve(positives: readonly number[], negatives: readonly number[]): number {
  const sorted = [...negatives].sort((a, b) => a - b);
  const below = (value: number, inclusive: boolean) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = sorted[middle] ?? 0;
      if (at < value || (inclusive && at === value)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const wins = positives.reduce((sum, value) => sum + (below(value, false) + below(value, true)) / 2, 0);
  return wins / (positives.length * negatives.length);
}
