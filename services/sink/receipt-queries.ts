import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { literalLists, quote } from '../platform/clickhouse/sql-statements.ts';
import type { BlockId } from './ingest-row.ts';

/**
 * What the sink asks of `receipts`, whose sort key is topic id, partition and offset. Every query reads the end of one
 * source partition, or single places: its cost does not grow with what is stored.
 */

/** A stretch of source offsets that has a receipt, `first..last`. */
export interface Taken {
  readonly first: number;
  readonly last: number;
}

export interface SourcePartition {
  readonly topicId: string;
  readonly partition: number;
}

/** Keys of one source partition that came in lately, by ClickHouse's record. */
export interface LateKeys {
  /** CRC-32 of each. */
  readonly crcs: readonly number[];
  /** Some are missing: there were more, or their receipts are of a version that did not keep them. */
  readonly isPartial: boolean;
}

/** A window of receipts reaches back this far below the highest source offset taken. */
const WINDOW_OFFSETS = 16_384;
/** Late keys of one source partition: the 24 million of twelve fit into the two generations of one RecentKeys. */
const MAX_LATE_KEYS = 2_000_000;

const HERE = 'topic_id = {topic_id:String} AND partition = {partition:Int32}';
const paramsOf = ({ topicId, partition }: SourcePartition) => ({ topic_id: topicId, partition });
const toTaken = ({ first, last }: Taken): Taken => ({ first: Number(first), last: Number(last) });

/** A block that is replayed looks past what it wrote itself the first time. */
export const notOwn = (own: BlockId | undefined): string =>
  own
    ? ` AND NOT (log_topic_id = ${quote(own.topicId)} AND log_partition = ${own.partition}` +
      ` AND block_from = ${own.from} AND block_to = ${own.to})`
    : '';

/** All receipts of the newest offsets of a source partition, from `floor` on, as stretches. */
export async function recentReceipts(
  client: ClickHouse,
  source: SourcePartition,
  own: BlockId | undefined,
): Promise<{ floor: number; taken: Taken[] }> {
  const params = paramsOf(source);
  // Receipts do not overlap, so the one of the highest offset ends last.
  const [top] = await client.query<{ top: number }>(
    `SELECT last_offset AS top FROM receipts WHERE ${HERE} ORDER BY offset DESC LIMIT 1`,
    { params },
  );
  const floor = Math.max(0, Number(top?.top ?? 0) - WINDOW_OFFSETS + 1);
  const rows = await client.query<Taken>(
    `SELECT min(offset) AS first, max(last_offset) AS last FROM (
       SELECT offset, last_offset, offset - row_number() OVER (ORDER BY offset) AS stretch FROM (
         SELECT offset, max(last_offset) AS last_offset FROM receipts
         WHERE ${HERE} AND offset >= {floor:Int64} AND outcome != 'gap'${notOwn(own)} GROUP BY offset
       )
     ) GROUP BY stretch
     UNION ALL
     SELECT offset AS first, last_offset AS last FROM receipts
     WHERE ${HERE} AND outcome = 'gap' AND last_offset >= {floor:Int64}${notOwn(own)}`,
    { params: { ...params, floor } },
  );
  return { floor, taken: rows.map(toTaken) };
}

/** Which of these offsets have a receipt. */
export async function receiptsOf(
  client: ClickHouse,
  source: SourcePartition,
  offsets: readonly number[],
  own: BlockId | undefined,
): Promise<Taken[]> {
  const params = {
    ...paramsOf(source),
    low: offsets.reduce((a, b) => Math.min(a, b)),
    high: offsets.reduce((a, b) => Math.max(a, b)),
  };
  const found: Taken[] = [];
  for (const list of literalLists(offsets.map(String))) {
    const rows = await client.query<Taken>(
      `SELECT offset AS first, last_offset AS last FROM receipts WHERE ${HERE} AND offset IN (${list})${notOwn(own)}
       UNION ALL
       SELECT offset AS first, last_offset AS last FROM receipts
       WHERE ${HERE} AND outcome = 'gap' AND offset <= {high:Int64} AND last_offset >= {low:Int64}${notOwn(own)}`,
      { params },
    );
    found.push(...rows.map(toTaken));
  }
  return found;
}

/** Receipts that touch `first..last`. */
export async function receiptsWithin(
  client: ClickHouse,
  source: SourcePartition,
  range: Taken,
  own: BlockId | undefined,
): Promise<Taken[]> {
  const rows = await client.query<Taken>(
    `SELECT offset AS first, last_offset AS last FROM receipts
     WHERE ${HERE} AND offset >= {first:Int64} AND offset <= {last:Int64}${notOwn(own)}
     UNION ALL
     SELECT offset AS first, last_offset AS last FROM receipts
     WHERE ${HERE} AND outcome = 'gap' AND offset < {first:Int64} AND last_offset >= {first:Int64}${notOwn(own)}
     ORDER BY first`,
    { params: { ...paramsOf(source), ...range } },
  );
  return rows.map(toTaken);
}

/** Hashes of the message keys that came in during the last `windowMs` of a source partition's own time, at most so many. */
export async function lateKeys(
  client: ClickHouse,
  source: SourcePartition,
  windowMs: number,
  most = MAX_LATE_KEYS,
): Promise<LateKeys> {
  const [row] = await client.query<{ crcs: number[]; withoutKey: number; withKey: string }>(
    `SELECT groupArrayIf(${most})(key_crc, key_crc != 0) AS crcs, max(key_crc = 0) AS withoutKey, countIf(key_crc != 0) AS withKey
     FROM receipts
     WHERE ${HERE} AND outcome != 'gap'
       AND enriched_at > (SELECT enriched_at FROM receipts WHERE ${HERE} ORDER BY offset DESC LIMIT 1)
         - toIntervalMillisecond({window_ms:UInt64})`,
    { params: { ...paramsOf(source), window_ms: windowMs } },
  );
  const { crcs = [], withoutKey = 0, withKey = 0 } = row ?? {};
  return { crcs, isPartial: Number(withoutKey) > 0 || Number(withKey) > crcs.length };
}
