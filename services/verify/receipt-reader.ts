import type { TopicId } from '../core/brands.ts';
import { clipRanges, countOffsets, holesIn, mergeRanges, type OffsetRange } from '../core/offset-ranges.ts';
import type { ReceiptCounts } from './conservation.ts';

/** Runs a SELECT with ClickHouse parameters (`{name:Type}`) and returns all rows: for small results. */
export type RunQuery = <Row>(sql: string, parameters: Readonly<Record<string, unknown>>) => Promise<Row[]>;

/** Offsets of one partition of one topic: `[from, to)`. */
export interface Window {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** Offsets that one look into a damaged stretch reads: 64 Ki numbers are half a megabyte. */
const CHUNK_OFFSETS = 65_536;

/**
 * Receipts, each offset once. The grouping follows the table's sort key, so that ClickHouse streams it: memory does
 * not grow with the number of receipts.
 */
const RECEIPTED = (outside: readonly OffsetRange[]) => `
  SELECT offset, min(outcome) AS first_outcome
  FROM receipts
  WHERE topic_id = {topic_id:String} AND partition = {partition:Int32}
    AND offset >= {from:Int64} AND offset < {to:Int64} AND outcome != 'gap'
    ${outside.map(({ first, last }) => `AND NOT (offset BETWEEN ${first} AND ${last})`).join(' ')}
  GROUP BY topic_id, partition, offset`;
const NO_RECEIPTS: ReceiptCounts = { enriched: 0, degraded: 0, dead_lettered: 0, duplicate: 0 };
const IN_ORDER = 'SETTINGS optimize_aggregation_in_order = 1';

const parametersOf = ({ topicId, partition, from, to }: Window) => ({ topic_id: topicId, partition, from, to });

/**
 * All gaps of a topic by partition, merged; with `since` (ms since the epoch) those recorded since then. There is one
 * receipt for each removal by retention, so they are few.
 */
export async function readGaps(query: RunQuery, topicId: TopicId, since = 0): Promise<Map<number, OffsetRange[]>> {
  const rows = await query<{ partition: number; offset: string; last_offset: string }>(
    `SELECT partition, offset, last_offset FROM receipts
     WHERE topic_id = {topic_id:String} AND outcome = 'gap' AND toUnixTimestamp64Milli(enriched_at) >= {since:Int64}
     ORDER BY partition, offset`,
    { topic_id: topicId, since },
  );
  const byPartition = Map.groupBy(rows, ({ partition }) => Number(partition));
  return new Map(
    [...byPartition].map(([partition, gaps]) => [
      partition,
      mergeRanges(gaps.map((gap) => ({ first: Number(gap.offset), last: Number(gap.last_offset) }))),
    ]),
  );
}

/** How many offsets of the window have a receipt, by outcome, those inside `gaps` left out; and how many lie below `watermark`. */
export async function countReceipts(
  query: RunQuery,
  window: Window,
  watermark: number,
  gaps: readonly OffsetRange[],
): Promise<{ receipts: ReceiptCounts; belowWatermark: number }> {
  if (window.from >= window.to) return { receipts: NO_RECEIPTS, belowWatermark: 0 };
  const rows = await query<{ first_outcome: string; offsets: string; below: string }>(
    `SELECT first_outcome, count() AS offsets, countIf(offset < {watermark:Int64}) AS below
     FROM (${RECEIPTED(gaps)}) GROUP BY first_outcome ${IN_ORDER}`,
    { ...parametersOf(window), watermark },
  );
  const of = (outcome: keyof ReceiptCounts) =>
    Number(rows.find(({ first_outcome }) => first_outcome === outcome)?.offsets ?? 0);
  return {
    receipts: {
      enriched: of('enriched'),
      degraded: of('degraded'),
      dead_lettered: of('dead_lettered'),
      duplicate: of('duplicate'),
    },
    belowWatermark: rows.reduce((sum, { below }) => sum + Number(below), 0),
  };
}

/** The stretches of the window without a receipt and outside `gaps`, in order, those of one chunk at a time. */
export async function* unreceipted(
  query: RunQuery,
  window: Window,
  gaps: readonly OffsetRange[],
): AsyncGenerator<OffsetRange[]> {
  const rows = await query<{ chunk: string; offsets: string }>(
    `SELECT intDiv(offset, ${CHUNK_OFFSETS}) AS chunk, count() AS offsets
     FROM (${RECEIPTED(gaps)}) GROUP BY chunk ${IN_ORDER}`,
    parametersOf(window),
  );
  const receiptedIn = new Map(rows.map(({ chunk, offsets }) => [Number(chunk), Number(offsets)]));
  for (let chunk = Math.floor(window.from / CHUNK_OFFSETS); chunk * CHUNK_OFFSETS < window.to; chunk++) {
    const from = Math.max(chunk * CHUNK_OFFSETS, window.from);
    const to = Math.min((chunk + 1) * CHUNK_OFFSETS, window.to);
    const accounted = (receiptedIn.get(chunk) ?? 0) + countOffsets(clipRanges(gaps, from, to));
    if (accounted === to - from) continue;
    const receipted = await query<{ offset: string }>(RECEIPTED(gaps), parametersOf({ ...window, from, to }));
    const points = receipted.map(({ offset }) => ({ first: Number(offset), last: Number(offset) }));
    yield holesIn([...points, ...gaps], from, to);
  }
}
