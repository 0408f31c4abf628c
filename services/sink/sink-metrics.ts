import { LATENCY_BUCKETS_S, type Metrics } from '../platform/metrics.ts';

export interface SinkGauges {
  readonly bufferedRecords: () => number;
  readonly bufferedBytes: () => number;
  readonly oldestAgeMs: () => number;
  readonly lagByPartition: () => ReadonlyMap<number, number>;
}

export function createSinkMetrics(metrics: Metrics, gauges: SinkGauges) {
  metrics.gauge('parley_sink_buffered_records', 'Records that wait for their block', [], (gauge) =>
    gauge.set(gauges.bufferedRecords()),
  );
  metrics.gauge('parley_sink_buffered_bytes', 'Bytes of records that wait or are being inserted', [], (gauge) =>
    gauge.set(gauges.bufferedBytes()),
  );
  metrics.gauge('parley_sink_oldest_record_seconds', 'Age of the oldest record that waits', [], (gauge) =>
    gauge.set(gauges.oldestAgeMs() / 1_000),
  );
  metrics.gauge('parley_sink_lag_records', 'Records of chat.enriched that are not in yet', ['partition'], (gauge) => {
    gauge.reset();
    for (const [partition, lag] of gauges.lagByPartition()) gauge.set({ partition: String(partition) }, lag);
  });
  return {
    rows: metrics.counter('parley_sink_rows_total', 'Rows inserted into ClickHouse, retractions included'),
    rebuilt: metrics.counter(
      'parley_sink_rebuilt_rows_total',
      'Rows that were committed before and that ClickHouse had lost: it was wiped, or restored from a backup',
    ),
    blocks: metrics.counter('parley_sink_blocks_total', 'Blocks inserted, by live or replayed', ['kind']),
    insertSeconds: metrics.histogram('parley_sink_insert_seconds', 'Time of one insert', LATENCY_BUCKETS_S),
    retries: metrics.counter('parley_sink_retries_total', 'Steps of a block tried again, by step', ['step']),
    dropped: metrics.counter('parley_sink_dropped_total', 'Records that changed nothing, by why', ['kind']),
    undecodable: metrics.counter('parley_sink_undecodable_total', 'Records dead-lettered, by whether counted', [
      'receipt',
    ]),
    passedOn: metrics.counter(
      'parley_sink_passed_on_total',
      'Outcomes that lay in the partition of an earlier partition count, and were passed on to their own',
    ),
    replaced: metrics.counter('parley_sink_replaced_total', 'Rows taken back for a later revision'),
  };
}

export type SinkMetrics = ReturnType<typeof createSinkMetrics>;
