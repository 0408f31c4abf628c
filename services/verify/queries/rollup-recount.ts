import type { ClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { quoteName } from '../../platform/clickhouse/sql-statements.ts';
import { findViolations, instant, type Scope, together, type Violations } from './violation-query.ts';

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
const bucketsSince = ({ since }: Scope, column: string, bucket: string): string =>
  since === undefined ? '1' : `${column} >= ${bucket}(${instant(since)})`;

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
    if(latency_counts = 1, map(toUInt16(floor(log(latency_ms + 1) / log(1.05))), -toInt64(1)), map()) AS latency
  FROM ${db}.messages FINAL WHERE ${bucketsSince(scope, 'messages.sent_at', bucket)}`;

function sumMismatches(db: string, [rollup, column, bucket]: Rollup, scope: Scope): string {
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
        WHERE ${bucketsSince(scope, column, bucket)}
        UNION ALL
        SELECT at, tenant_id, bot_id, ${COUNTS.join(', ')}, latency FROM ${db}.rollup_sums
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
      toString(sum(s.messages)) AS surplus, '' AS surplus_latency
    FROM (
      SELECT ${column} AS at, tenant_id, bot_id, conversation_id, messages FROM ${db}.${rollup}_conversations
      WHERE ${bucketsSince(scope, column, bucket)}
      UNION ALL
      SELECT at, tenant_id, bot_id, conversation_id, messages FROM ${db}.rollup_conversations
      WHERE grain = '${column}' AND ${bucketsSince(scope, 'at', bucket)}
      UNION ALL
      SELECT ${bucket}(sent_at), tenant_id, bot_id, conversation_id, -toInt64(1) FROM ${db}.messages FINAL
      WHERE ${bucketsSince(scope, 'messages.sent_at', bucket)}
    ) AS s
    GROUP BY at, tenant_id, bot_id, conversation_id
    HAVING sum(s.messages) != 0`;
}

/**
 * Rows of a rollup, as it stands in the tables of now and of before migration 5 together, that differ from a recount of the facts; `surplus` is rollup minus recount. A rollup row is of a bot
 * and a time, of no partition: `scope.partitions` counts for nothing here.
 */
export async function rollupMismatches(client: ClickHouse, database: string, scope: Scope = {}): Promise<Violations> {
  const db = quoteName(database);
  const found: Violations[] = [];
  // One after another: each may use as much memory as is allowed.
  for (const rollup of ROLLUPS) {
    found.push(await findViolations(client, sumMismatches(db, rollup, scope), scope));
    found.push(await findViolations(client, conversationMismatches(db, rollup, scope), scope));
  }
  return found.reduce(together);
}
