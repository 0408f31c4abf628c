import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { TalliedHistogram } from './tallied-histogram.ts';

/** All values of one process at one moment, as they travel to the process that adds them up. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** Metrics whose worst value over several processes counts, where the library would take the average. */
const WORST = /^nodejs_eventloop_lag_/;

/**
 * One registry a process. Metric names begin with `parley_`; labels have closed value sets (code, topic, partition,
 * outcome): chat ids are never labels, so the number of series is bounded by the code.
 */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string) {
    this.registry.setDefaultLabels({ service });
    collectDefaultMetrics({ register: this.registry });
  }

  snapshot(): Promise<MetricsSnapshot> {
    return this.registry.getMetricsAsJSON();
  }

  /** A counter; with `collect` it is set at each scrape, from figures that are kept elsewhere: nothing is paid a message. */
  counter<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (counter: Counter<L>) => void,
  ): Counter<L> {
    return new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect && {
        collect() {
          this.reset();
          collect(this);
        },
      }),
    });
  }

  /** A gauge; with `collect` its value is read at each scrape, which waits for it. */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L> {
    return new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect && {
        collect() {
          return collect(this);
        },
      }),
    });
  }

  histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers: [this.registry],
    });
  }

  /** A histogram for what is observed with each message. */
  tallied(name: string, help: string, buckets: readonly number[], label?: string): TalliedHistogram {
    const histogram = new TalliedHistogram({ name, help, buckets, label });
    // The registry asks for `name` and `get` alone.
    this.registry.registerMetric(histogram as unknown as Histogram);
    return histogram;
  }
}

/** Seconds, from half a millisecond to ten seconds: wide enough for an ack and for a stalled call. */
export const LATENCY_BUCKETS_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1, 2.5, 5, 10,
];

export type { Counter, Gauge, Histogram, TalliedHistogram };

/** The processes of one service as if they were one: counters, histograms and gauges are added up. */
export function mergeSnapshots(snapshots: readonly MetricsSnapshot[]): {
  text: () => Promise<string>;
  snapshot: () => Promise<MetricsSnapshot>;
} {
  const parts = snapshots.map((metrics) =>
    metrics.map((metric) => (WORST.test(metric.name) ? { ...metric, aggregator: 'max' as const } : metric)),
  );
  const merged = AggregatorRegistry.aggregate(parts);
  return { text: () => merged.metrics(), snapshot: () => merged.getMetricsAsJSON() };
}

/** What only ever grows: the part of a process's metrics that still counts when it has ended. */
export const totalsOf = (snapshot: MetricsSnapshot): MetricsSnapshot =>
  snapshot.filter(({ type }) => String(type) === 'counter' || String(type) === 'histogram');
