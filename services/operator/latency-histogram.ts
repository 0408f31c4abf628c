import { build } from 'hdr-histogram-js';

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

/** Latencies in bounded memory, whatever their number. */
export class LatencyHistogram {
  readonly #histogram = build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3, autoResize: true });

  record(ms: number): void {
    this.#histogram.recordValue(Math.max(Math.round(ms * MICROSECONDS), 0));
  }

  summary(): LatencySummary {
    const count = this.#histogram.totalCount;
    const at = (percentile: number) =>
      count === 0 ? 0 : Math.round(this.#histogram.getValueAtPercentile(percentile)) / MICROSECONDS;
    return { count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
  }
}
