import type { EpochMs } from '../../core/brands.ts';
import type { ClickHouse } from '../../platform/clickhouse/clickhouse.ts';

/**
 * What a query for violations found: how many, and the first of them. No query sees several tables at one instant: while
 * the sink inserts, a mismatch may be one that is about to vanish, so ask again before believing it.
 *
 * Memory is bounded on both sides and does not grow with the rows: only a count and 10,000 rows of some 300 bytes come back, and groups that
 * outgrow a quarter of {@link Scope.memoryBytes} go to ClickHouse's disk. For that the queries group, and do without
 * sets, joins and windows over all messages, which do not spill. Above the bound ClickHouse ends the query.
 */
export interface Violations {
  readonly count: number;
  /** At most {@link LISTED_ROWS}, as rows: of more, those with the lowest hashes, so that two looks list the same ones. */
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

/** What of the tables is looked at; everything, unless said. */
export interface Scope {
  /** Only what came in since then. */
  readonly since?: EpochMs;
  /** Only messages and receipts of these partitions of `chat.events` and `chat.replay`. */
  readonly partitions?: readonly number[];
  /** What was sent before may be gone by a table's TTL; everything is there unless said. */
  readonly keptSince?: EpochMs;
  /** What one query may use in ClickHouse; 1 GiB unless said. */
  readonly memoryBytes?: number;
}

/** A moving system differs in many rows at once; two looks have to be compared row by row. */
const LISTED_ROWS = 10_000;
const MEMORY_BYTES = 1 << 30;
/**
 * For pruning table partitions: `sent_at` is at most a day older than a record, which waits at most 7 days in its log; a
 * dead letter waits 30 days for its replay and may be replayed three times. 8 + 3 * (30 + 8) days, rounded up.
 */
const OLDEST_SENT_DAYS = 130;

/** Runs a query that gives one row a violation. */
export async function findViolations(
  client: ClickHouse,
  offenders: string,
  { memoryBytes = MEMORY_BYTES }: Scope = {},
): Promise<Violations> {
  const [found] = await client.query<{ violations: number; rows: string[] }>(
    `SELECT count() AS violations, groupArraySorted(${LISTED_ROWS})((cityHash64(row), row)).2 AS rows
     FROM (SELECT formatRowNoNewline('JSONEachRow', *) AS row FROM (${offenders}))`,
    {
      settings: {
        max_bytes_before_external_group_by: String(memoryBytes >> 2),
        max_bytes_before_external_sort: String(memoryBytes >> 2),
        max_memory_usage: String(memoryBytes),
      },
    },
  );
  return { count: Number(found?.violations ?? 0), examples: (found?.rows ?? []).map((row) => JSON.parse(row)) };
}

export const conditions = (each: readonly (string | undefined)[]): string =>
  each.filter((condition) => condition !== undefined).join(' AND ') || '1';

export const instant = (ms: EpochMs): string => `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`;

export const inPartitions = (column: string, { partitions }: Scope): string | undefined =>
  partitions && `${column} IN (${partitions.map(Number).join(',')})`;

/** Groups of which a row came in since then. */
export const touchedSince = ({ since }: Scope): string | undefined =>
  since === undefined ? undefined : `max(enriched_at) >= ${instant(since)}`;

/** Rows among which all that came in since then must be: reads fewer table partitions. */
export const sentSince = ({ since }: Scope): string | undefined =>
  since === undefined ? undefined : `messages.sent_at >= ${instant(since)} - INTERVAL ${OLDEST_SENT_DAYS} DAY`;

/** Sum of two looks whose findings exclude each other. */
export const together = (one: Violations, other: Violations): Violations => ({
  count: one.count + other.count,
  examples: [...one.examples, ...other.examples].slice(0, LISTED_ROWS),
});
