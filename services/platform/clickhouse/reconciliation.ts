import type { ClickHouse } from './clickhouse.ts';
import { quoteName } from './sql-statements.ts';

/**
 * The guarantees of ClickHouse's side as queries, for `parley verify`, the chaos run and the tests alike. Each counts
 * violations and shows the first of them. No query sees several tables at one instant: while the sink inserts, a
 * mismatch may be one that is about to vanish, so ask again before believing it.
 */
export interface Violations {
  readonly count: number;
  /** At most ten, as rows. */
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

const EXAMPLES = 10;

/** Runs a query that gives one row a violation. */
async function violations(client: ClickHouse, offenders: string): Promise<Violations> {
  const rows = await client.query<Record<string, unknown> & { violations: number }>(
    `SELECT *, count() OVER () AS violations FROM (${offenders}) LIMIT ${EXAMPLES}`,
  );
  const examples = rows.map(({ violations: _, ...row }) => row);
  return { count: Number(rows[0]?.violations ?? 0), examples };
}

/** Source records with more than one receipt, or whose receipt overlaps that of a gap. */
export function doubleReceipts(client: ClickHouse, database: string): Promise<Violations> {
  return violations(
    client,
    `SELECT topic_id, partition, offset, last_offset, reached AS earlier_last_offset
     FROM (
       SELECT topic_id, partition, offset, last_offset,
         max(last_offset) OVER (
           PARTITION BY topic_id, partition ORDER BY offset, last_offset
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
         ) AS reached,
         row_number() OVER (PARTITION BY topic_id, partition ORDER BY offset, last_offset) AS place
       FROM ${quoteName(database)}.receipts
     )
     WHERE place > 1 AND offset <= reached`,
  );
}

/** Messages with more than one current row. */
export function doubleFacts(client: ClickHouse, database: string): Promise<Violations> {
  return violations(
    client,
    `SELECT tenant_id, bot_id, conversation_id, message_id, count() AS copies
     FROM ${quoteName(database)}.messages FINAL
     GROUP BY tenant_id, bot_id, conversation_id, message_id
     HAVING copies > 1`,
  );
}

/** Receipts of a message that should have a fact (by their place in the log, or replaced since) and have none. */
export function receiptsWithoutFacts(client: ClickHouse, database: string): Promise<Violations> {
  const db = quoteName(database);
  return violations(
    client,
    `SELECT topic_id, partition, offset, outcome, message_id, log_topic_id, log_partition, log_offset
     FROM ${db}.receipts
     WHERE outcome NOT IN ('duplicate', 'gap') AND message_id NOT IN (SELECT message_id FROM ${db}.messages)`,
  );
}

/** Facts whose record has no receipt, as far back as receipts are kept (14 days). */
export function factsWithoutReceipts(client: ClickHouse, database: string): Promise<Violations> {
  const db = quoteName(database);
  return violations(
    client,
    `SELECT message_id, log_topic_id, log_partition, log_offset, enriched_at
     FROM ${db}.messages FINAL
     WHERE enriched_at > now64(3) - INTERVAL 13 DAY
       AND (log_topic_id, log_partition, log_offset) NOT IN
         (SELECT log_topic_id, log_partition, log_offset FROM ${db}.receipts)`,
  );
}

const COUNTS = [
  'messages',
  'enriched',
  'degraded',
  'dead_lettered',
  'positive',
  'neutral',
  'negative',
  'sentiment_e4',
  'toxic',
] as const;

/** The facts counted afresh, negated, in the columns of the `_sums` tables. */
const recount = (db: string, bucket: string) => `
  SELECT ${bucket}(sent_at) AS at, tenant_id, bot_id,
    -toInt64(1) AS messages,
    -toInt64(outcome = 'enriched') AS enriched,
    -toInt64(outcome = 'degraded') AS degraded,
    -toInt64(outcome = 'dead_lettered') AS dead_lettered,
    -toInt64(sentiment_label = 'positive') AS positive,
    -toInt64(sentiment_label = 'neutral') AS neutral,
    -toInt64(sentiment_label = 'negative') AS negative,
    -sentiment_e4 AS sentiment_e4,
    -toInt64(toxicity_score >= 0.5) AS toxic,
    if(revision = 0, map(toUInt16(floor(log(latency_ms + 1) / log(1.05))), -toInt64(1)), map()) AS latency
  FROM ${db}.messages FINAL`;

function sumMismatches(db: string, rollup: string, column: string, bucket: string): string {
  const sums = COUNTS.map((name) => `sum(s.${name}) AS d_${name}`).join(', ');
  const differs = COUNTS.map((name) => `d_${name} != 0`).join(' OR ');
  return `
    SELECT '${rollup}_sums' AS rollup, at, tenant_id, bot_id, '' AS conversation_id,
      toJSONString(map(${COUNTS.map((name) => `'${name}', d_${name}`).join(', ')})) AS surplus,
      toJSONString(d_latency) AS surplus_latency
    FROM (
      SELECT at, tenant_id, bot_id, ${sums}, mapFilter((k, v) -> v != 0, sumMap(s.latency)) AS d_latency
      FROM (
        SELECT ${column} AS at, tenant_id, bot_id, ${COUNTS.join(', ')}, latency FROM ${db}.${rollup}_sums
        UNION ALL ${recount(db, bucket)}
      ) AS s
      GROUP BY at, tenant_id, bot_id
    )
    WHERE ${differs} OR notEmpty(d_latency)`;
}

function conversationMismatches(db: string, rollup: string, column: string, bucket: string): string {
  return `
    SELECT '${rollup}_conversations' AS rollup, at, tenant_id, bot_id, conversation_id,
      toString(sum(s.messages)) AS surplus, '' AS surplus_latency
    FROM (
      SELECT ${column} AS at, tenant_id, bot_id, conversation_id, messages FROM ${db}.${rollup}_conversations
      UNION ALL
      SELECT ${bucket}(sent_at), tenant_id, bot_id, conversation_id, -toInt64(1) FROM ${db}.messages FINAL
    ) AS s
    GROUP BY at, tenant_id, bot_id, conversation_id
    HAVING sum(s.messages) != 0`;
}

/** Rows of a rollup that differ from a recount of the facts; `surplus` is rollup minus recount. */
export async function rollupMismatches(client: ClickHouse, database: string): Promise<Violations> {
  const db = quoteName(database);
  const all = await Promise.all(
    (
      [
        ['bot_minute', 'minute', 'toStartOfMinute'],
        ['bot_hour', 'hour', 'toStartOfHour'],
      ] as const
    ).flatMap(([rollup, column, bucket]) => [
      violations(client, sumMismatches(db, rollup, column, bucket)),
      violations(client, conversationMismatches(db, rollup, column, bucket)),
    ]),
  );
  return {
    count: all.reduce((sum, { count }) => sum + count, 0),
    examples: all.flatMap(({ examples }) => examples).slice(0, EXAMPLES),
  };
}
