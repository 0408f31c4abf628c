import { LATENCY_BUCKETS_S, type Metrics } from '../../platform/metrics.ts';

/** Outcome of an insight for a socket of this process. */
export type InsightResult =
  | 'sent'
  /** The socket had too much unread already. */
  | 'dropped'
  /** Its outcome could not be decoded. */
  | 'undecodable';

export class InsightMetrics {
  readonly #insights: (result: InsightResult) => void;
  readonly #seconds: (provisional: boolean, seconds: number) => void;
  readonly #scanned: { inc(count: number): void };
  readonly #unreadable: { inc(count: number): void };

  constructor(metrics: Metrics, readings: { readonly sockets: () => number; readonly recentBytes: () => number }) {
    const insights = metrics.counter('parley_gateway_insights_total', 'Insights for sockets here, by result', [
      'result',
    ]);
    this.#insights = (result) => insights.inc({ result });
    const seconds = metrics.histogram(
      'parley_gateway_insight_seconds',
      'From receiving a message to writing its insight',
      LATENCY_BUCKETS_S,
      ['provisional'],
    );
    this.#seconds = (provisional, value) => seconds.observe({ provisional: String(provisional) }, value);
    this.#scanned = metrics.counter('parley_gateway_outcomes_scanned_total', 'Records of chat.enriched looked at');
    this.#unreadable = metrics.counter(
      'parley_gateway_outcome_batches_unreadable_total',
      'Batches of chat.enriched passed over: an unknown codec or format',
    );
    metrics.gauge('parley_gateway_insight_sockets', 'Open sockets that asked for insights', [], (gauge) =>
      gauge.set(readings.sockets()),
    );
    metrics.gauge('parley_gateway_insight_recent_bytes', 'Bytes kept for sockets that come back', [], (gauge) =>
      gauge.set(readings.recentBytes()),
    );
  }

  insight(result: InsightResult): void {
    this.#insights(result);
  }

  sent(provisional: boolean, latencyMs: number): void {
    this.#insights('sent');
    this.#seconds(provisional, Math.max(latencyMs, 0) / 1_000);
  }

  scanned(records: number, unreadable: number): void {
    this.#scanned.inc(records);
    if (unreadable > 0) this.#unreadable.inc(unreadable);
  }
}
