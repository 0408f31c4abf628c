import { type EpochMs, epochMs } from '../../core/brands.ts';
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
const bucketsSince = ({ since, keptSince }: Scope, column: string, bucket: string): string =>
  conditions([
    since === undefined ? undefined : `${column} >= ${bucket}(${instant(since)})`,
    keptSince === undefined ? undefined : `${column} >= ${instant(keptSince)}`,
  ]);

/**
 * The first day of which a table has everything, by its TTL and by those it had before (`retention_floors`). A day more
 * than the TTL needs: what expires while a query runs is in neither side.
 */
async function floors(client: ClickHouse, database: string): Promise<ReadonlyMap<string, EpochMs>> {
  const found = await client.query<{ name: string; floor: number }>(
    `SELECT name, max(at) AS floor FROM (
       SELECT name, extract(create_table_query, '\\\\bTTL .*toIntervalDay\\\\((\\\\d+)\\\\)') AS days,
         toUnixTimestamp(toStartOfDay(now('UTC')) - toIntervalDay(toInt32OrZero(days) - 1)) AS at
       FROM system.tables WHERE database = {database:String} AND name IN ('messages', 'rollup_sums') AND days != ''
       UNION ALL
       SELECT toString(table_name), '', toUnixTimestamp(floor) FROM ${quoteName(database)}.retention_floors
     ) GROUP BY name`,
    { params: { database } },
  );
  return new Map(found.map(({ name, floor }) => [name, epochMs(Number(floor) * 1_000)]));
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
  const kept = await floors(client, database);
  for (const rollup of ROLLUPS) {
    const tables = rollup[1] === 'minute' ? ['messages', 'rollup_sums'] : ['messages'];
    const limits = tables.flatMap((table) => kept.get(table) ?? []);
    const within = limits.length > 0 ? { ...scope, keptSince: epochMs(Math.max(...limits)) } : scope;
    found.push(await findViolations(client, sumMismatches(db, rollup, within), scope));
    found.push(await findViolations(client, conversationMismatches(db, rollup, within), scope));
  }
  return found.reduce(together);
}
