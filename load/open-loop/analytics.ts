import type { LatencySummary } from '../../services/operator/latency-histogram.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';

/** `enriched_at - received_at` of a run's messages as an analyst finds them. */
export async function insightLatency(client: ClickHouse, runId: string): Promise<LatencySummary> {
  const [row] = await client.query<{ count: number; quantiles: number[]; max: number }>(
    `SELECT count() AS count, quantilesExact(0.5, 0.9, 0.99, 0.999)(latency_ms) AS quantiles, max(latency_ms) AS max
     FROM messages FINAL
     WHERE startsWith(message_id, {prefix:String})`,
    { params: { prefix: `${runId}-` } },
  );
  const [p50 = 0, p90 = 0, p99 = 0, p999 = 0] = row?.quantiles ?? [];
  return { count: Number(row?.count ?? 0), p50, p90, p99, p999, max: Number(row?.max ?? 0) };
}

/** Which of these messages have a row. */
export async function visibleMessages(client: ClickHouse, ids: readonly string[]): Promise<string[]> {
  const rows = await client.query<{ message_id: string }>(
    'SELECT DISTINCT message_id FROM messages WHERE message_id IN {ids:Array(String)}',
    { params: { ids } },
  );
  return rows.map(({ message_id }) => message_id);
}
