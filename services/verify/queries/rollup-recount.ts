import type { ClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { quoteName } from '../../platform/clickhouse/sql-statements.ts';
import { conditions, findViolations, instant, type Scope, together, type Violations } from './violation-query.ts';

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

const ROLLUPS = [
  ['bot_minute', 'minute', 'toStartOfMinute'],
  ['bot_hour', 'hour', 'toStartOfHour'],
] as const;
type Rollup = (typeof ROLLUPS)[number];

/** Whole buckets: those that began since then, the one of that very moment included. */
const bucketsSince = ({ since, keptDays }: Scope, column: string, bucket: string): string =>
  conditions([
    since === undefined ? undefined : `${column} >= ${bucket}(${instant(since)})`,
    // A day more than the TTL needs: what expires while the query runs is in neither side.
    keptDays === undefined ? undefined : `${column} >= toStartOfDay(now('UTC')) - INTERVAL ${keptDays - 1} DAY`,
  ]);

/** Days that a table's TTL keeps; undefined without one. */
async function keptDays(client: ClickHouse, database: string): Promise<ReadonlyMap<string, number>> {
  const tables = await client.query<{ name: string; days: string }>(
    `SELECT name, extract(create_table_query, '\\\\bTTL .*toIntervalDay\\\\((\\\\d+)\\\\)') AS days FROM system.tables
     WHERE database = {database:String} AND name IN ('messages', 'rollup_sums') AND days != ''`,
    { params: { database } },
  );
  return new Map(tables.map(({ name, days }) => [name, Number(days)]));
}

/** The facts counted afresh, negated, in the columns of the `_sums` tables. */
const recount = (db: string, bucket: string, scope: Scope) => `
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
    if(latency_counts = 1, map(toUInt16(floor(log(latency_ms + 1) / log(1.05))), -toInt64(1)), map()) AS latency,
    toInt64(1 + revision) AS moves
  FROM ${db}.messages FINAL WHERE ${bucketsSince(scope, 'messages.sent_at', bucket)}`;

function sumMismatches(db: string, [rollup, column, bucket]: Rollup, scope: Scope): string {
  const sums = COUNTS.map((name) => `sum(s.${name}) AS d_${name}`).join(', ');
  const differs = COUNTS.map((name) => `d_${name} != 0`).join(' OR ');
  return `
    SELECT '${rollup}_sums' AS rollup, at, tenant_id, bot_id, '' AS conversation_id,
      toJSONString(map(${COUNTS.map((name) => `'${name}', d_${name}`).join(', ')})) AS surplus,
      toJSONString(d_latency) AS surplus_latency, moves
    FROM (
      SELECT at, tenant_id, bot_id, ${sums}, sum(s.moves) AS moves, mapFilter((k, v) -> v != 0, sumMap(s.latency)) AS d_latency
      FROM (
        SELECT ${column} AS at, tenant_id, bot_id, ${COUNTS.join(', ')}, latency, 0 AS moves FROM ${db}.${rollup}_sums
        WHERE ${bucketsSince(scope, column, bucket)}
        UNION ALL
        SELECT at, tenant_id, bot_id, ${COUNTS.join(', ')}, latency, 0 AS moves FROM ${db}.rollup_sums
        WHERE grain = '${column}' AND dimension = '' AND ${bucketsSince(scope, 'at', bucket)}
        UNION ALL ${recount(db, bucket, scope)}
      ) AS s
      GROUP BY at, tenant_id, bot_id
    )
    WHERE ${differs} OR notEmpty(d_latency)`;
}

function conversationMismatches(db: string, [rollup, column, bucket]: Rollup, scope: Scope): string {
  return `
    SELECT '${rollup}_conversations' AS rollup, at, tenant_id, bot_id, conversation_id,
      toString(sum(s.messages)) AS surplus, '' AS surplus_latency, sum(s.moves) AS moves
    FROM (
      SELECT ${column} AS at, tenant_id, bot_id, conversation_id, messages, 0 AS moves FROM ${db}.${rollup}_conversations
      WHERE ${bucketsSince(scope, column, bucket)}
      UNION ALL
      SELECT at, tenant_id, bot_id, conversation_id, messages, 0 AS moves FROM ${db}.rollup_conversations
      WHERE grain = '${column}' AND ${bucketsSince(scope, 'at', bucket)}
      UNION ALL
      SELECT ${bucket}(sent_at), tenant_id, bot_id, conversation_id, -toInt64(1), 1 + revision FROM ${db}.messages FINAL
      WHERE ${bucketsSince(scope, 'messages.sent_at', bucket)}
    ) AS s
    GROUP BY at, tenant_id, bot_id, conversation_id
    HAVING sum(s.messages) != 0`;
}

/**
 * Rows of a rollup, as it stands in the tables of now and of before migration 5 together, that differ from a recount of
 * the facts; `surplus` is rollup minus recount. `moves` grows with every fact and revision of the bucket, so that one in
 * which something moves between two looks gives two rows that differ. A rollup row is of a bot and a time, of no partition: `scope.partitions` counts for nothing here.
 */
export async function rollupMismatches(client: ClickHouse, database: string, scope: Scope = {}): Promise<Violations> {
  const db = quoteName(database);
  const found: Violations[] = [];
  // One after another: each may use as much memory as is allowed.
  const days = await keptDays(client, database);
  for (const rollup of ROLLUPS) {
    const kept = [days.get('messages'), rollup[1] === 'minute' ? days.get('rollup_sums') : undefined];
    const least = Math.min(...kept.map((each) => each ?? Number.POSITIVE_INFINITY));
    const within = Number.isFinite(least) ? { ...scope, keptDays: least } : scope;
    found.push(await findViolations(client, sumMismatches(db, rollup, within), scope));
    found.push(await findViolations(client, conversationMismatches(db, rollup, within), scope));
  }
  return found.reduce(together);
}
