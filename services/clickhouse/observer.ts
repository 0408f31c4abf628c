import type { Logger } from '../platform/logger.ts';
import { LATENCY_BUCKETS_S, type Metrics } from '../platform/metrics.ts';
import type { Bulkhead } from './bulkhead.ts';
import type { ClickHouseException } from './exception.ts';
import type { Summary } from './response.ts';
import type { Sessions } from './sessions.ts';

/** What is told about a finished query: never its text, never its data. */
interface Finished {
  readonly queryId: string;
  readonly user: string;
  readonly kind: string;
  readonly elapsedMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly summary: Summary | undefined;
  readonly exception: ClickHouseException | undefined;
}

export type Observer = (finished: Finished) => void;

export function createObserver(
  metrics: Metrics,
  log: Logger,
  lanes: readonly Bulkhead[],
  sessions: Sessions,
): Observer {
  const queries = metrics.counter('parley_clickhouse_queries_total', 'Queries by kind and outcome', [
    'kind',
    'outcome',
  ]);
  const durations = metrics.histogram(
    'parley_clickhouse_query_duration_seconds',
    'From the request’s head to the end of its response',
    LATENCY_BUCKETS_S,
    ['kind'],
  );
  const rows = metrics.counter('parley_clickhouse_written_rows_total', 'Rows written, with those of dependent views');
  const bytesIn = metrics.counter('parley_clickhouse_body_bytes_total', 'Bytes of request bodies, decompressed');
  const bytesOut = metrics.counter('parley_clickhouse_result_bytes_total', 'Bytes of results before compression');
  const gauge = (name: string, help: string, read: (lane: Bulkhead) => number) =>
    metrics.gauge(name, help, ['lane'], (target) => {
      for (const lane of lanes) target.set({ lane: lane.name }, read(lane));
    });
  gauge('parley_clickhouse_running_queries', 'Queries that run', (lane) => lane.running);
  gauge('parley_clickhouse_waiting_queries', 'Queries that wait for a place', (lane) => lane.waiting);
  metrics.gauge('parley_clickhouse_sessions', 'Named sessions held', [], (target) => target.set(sessions.size));

  return (finished) => {
    const { kind, exception, summary } = finished;
    const outcome = exception === undefined ? 'ok' : exception.type === 'QUERY_WAS_CANCELLED' ? 'cancelled' : 'error';
    queries.inc({ kind, outcome });
    durations.observe({ kind }, finished.elapsedMs / 1_000);
    rows.inc(summary?.written_rows ?? 0);
    bytesIn.inc(finished.bytesIn);
    bytesOut.inc(finished.bytesOut);
    const fields = {
      query_id: finished.queryId,
      user: finished.user,
      kind,
      elapsed_ms: Math.round(finished.elapsedMs),
      read_rows: summary?.read_rows,
      written_rows: summary?.written_rows,
      bytes_in: finished.bytesIn,
      bytes_out: finished.bytesOut,
    };
    if (exception) log.info({ ...fields, code: exception.code, type: exception.type }, 'query failed');
    else log.debug(fields, 'query done');
  };
}
