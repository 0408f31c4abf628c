import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Milliseconds, to three significant digits. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

const MICROSECONDS = 1_000;

const emptyHistogram = (): Histogram =>
  build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3, autoResize: true });

/** Latencies in bounded memory, whatever their number. */
export class LatencyHistogram {
  readonly #histogram = emptyHistogram();

  /** The histogram of several processes' latencies, from what each gave as `encoded`. */
  static merged(encoded: readonly string[]): LatencyHistogram {
    const merged = new LatencyHistogram();
    for (const each of encoded) merged.#histogram.add(decodeFromCompressedBase64(each));
    return merged;
  }

  record(ms: number): void {
    this.#histogram.recordValue(Math.max(Math.round(ms * MICROSECONDS), 0));
  }

  summary(): LatencySummary {
    const count = this.#histogram.totalCount;
    const at = (percentile: number) =>
      count === 0 ? 0 : Math.round(this.#histogram.getValueAtPercentile(percentile)) / MICROSECONDS;
    return { count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
  }

  /** In HdrHistogram's own compressed format, as a string that another process can read. */
  encoded(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}
