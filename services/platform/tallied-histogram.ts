import type { MetricValueWithName } from 'prom-client';

/** The observations that share a value of the label. */
interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** By bucket, the last one without a bound; not added up. */
  readonly counts: number[];
  sum: number;
}

export interface TalliedHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds, inclusive, ascending. */
  readonly buckets: readonly number[];
  readonly label?: string | undefined;
}

/**
 * A histogram with one label at most, for what is observed with each message: prom-client's takes a microsecond and some
 * objects to find a series, this one a look-up in a map. It exports the same.
 */
export class TalliedHistogram {
  readonly name: string;
  readonly #options: TalliedHistogramOptions;
  readonly #series = new Map<string | undefined, Series>();

  constructor(options: TalliedHistogramOptions) {
    this.name = options.name;
    this.#options = options;
    if (options.label === undefined) this.#add(undefined);
  }

  /** @param of the label's value, out of a closed set. */
  observe(value: number, of?: string): void {
    const series = this.#series.get(of) ?? this.#add(of);
    const { buckets } = this.#options;
    let at = 0;
    while (at < buckets.length && value > (buckets[at] as number)) at++;
    (series.counts[at] as number)++;
    series.sum += value;
  }

  /** For the registry. */
  get() {
    const { name, help } = this.#options;
    const values = [...this.#series.values()].flatMap((series) => this.#export(series));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }

  #add(of: string | undefined): Series {
    const { label, buckets } = this.#options;
    if ((label === undefined) !== (of === undefined)) {
      throw new TypeError(`${this.name} has ${label === undefined ? 'no label' : `the label ${label}`}, and got ${of}`);
    }
    const labels = label === undefined || of === undefined ? {} : { [label]: of };
    const series = { labels, counts: new Array<number>(buckets.length + 1).fill(0), sum: 0 };
    this.#series.set(of, series);
    return series;
  }

  #export({ labels, counts, sum }: Series): MetricValueWithName<string>[] {
    let count = 0;
    const buckets = counts.map((inBucket, at) => {
      count += inBucket;
      const le = this.#options.buckets[at] ?? '+Inf';
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}
