import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { sampleProcess } from '../kit/proc-stat.ts';

export interface Rate {
  /** Messages a second. */
  readonly perS: number;
  readonly seconds: number;
}

/** What ClickHouse has done so far. */
interface StoreReading {
  readonly cpuMicros: number;
  /** Data parts that inserts made, in all tables; a merge's are no new ones. */
  readonly parts: number;
}

export async function readStore(clickhouse: ClickHouse, pid: number): Promise<StoreReading> {
  const [row] = await clickhouse.query<{ parts: number }>(
    "SELECT sum(value) AS parts FROM system.events WHERE event = 'MergeTreeDataWriterBlocks'",
  );
  return { cpuMicros: sampleProcess(pid).cpuMicros, parts: Number(row?.parts ?? 0) };
}

/** How old rows were when the insert of their block began, in ms: 99 of 100 were younger. */
export async function ageAtInsert(clickhouse: ClickHouse): Promise<{ p50: number; p99: number; blocks: number }> {
  const [row] = await clickhouse.query<{ p50: number; p99: number; blocks: number }>(
    `SELECT quantileExact(0.5)(age) AS p50, quantileExact(0.99)(age) AS p99, uniqExact(b.log_partition, b.block_from) AS blocks
     FROM (
       SELECT b.log_partition, b.block_from, dateDiff('millisecond', m.enriched_at, b.begun_at) AS age
       FROM messages AS m INNER JOIN blocks AS b USING (log_topic_id, log_partition, block_from)
     ) AS b`,
  );
  return { p50: Number(row?.p50), p99: Number(row?.p99), blocks: Number(row?.blocks) };
}
