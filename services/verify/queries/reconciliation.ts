import type { ClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { quoteName } from '../../platform/clickhouse/sql-statements.ts';
import {
  conditions,
  findViolations,
  inPartitions,
  instant,
  type Scope,
  sentSince,
  together,
  touchedSince,
  type Violations,
} from './violation-query.ts';

/**
 * The guarantees of ClickHouse's side, but for the rollups, as queries: for `parley verify`, the chaos run and the tests
 * alike.
 */

/** Source records with more than one receipt, or whose receipt overlaps that of a gap. */
export async function doubleReceipts(client: ClickHouse, database: string, scope: Scope = {}): Promise<Violations> {
  const receipts = `${quoteName(database)}.receipts`;
  const where = conditions([inPartitions('partition', scope)]);
  const twice = await findViolations(
    client,
    `SELECT topic_id, partition, offset, count() AS copies, groupArray(4)(outcome) AS outcomes
     FROM ${receipts} WHERE ${where}
     GROUP BY topic_id, partition, offset
     HAVING ${conditions(['copies > 1', touchedSince(scope)])}`,
    scope,
  );
  // There is one gap for each removal by retention, so the right side is small.
  const underGap = await findViolations(
    client,
    `SELECT r.topic_id AS topic_id, r.partition AS partition, r.offset AS offset, r.outcome AS outcome,
       g.offset AS gap_first, g.last_offset AS gap_last
     FROM ${receipts} AS r
     INNER JOIN (SELECT topic_id, partition, offset, last_offset, enriched_at FROM ${receipts} WHERE outcome = 'gap') AS g
       ON r.topic_id = g.topic_id AND r.partition = g.partition
     WHERE ${conditions([
       inPartitions('r.partition', scope),
       'r.offset > g.offset AND r.offset <= g.last_offset',
       scope.since === undefined ? undefined : `greatest(r.enriched_at, g.enriched_at) >= ${instant(scope.since)}`,
     ])}`,
    scope,
  );
  return together(twice, underGap);
}

/** Messages with more than one current row. */
export function doubleFacts(client: ClickHouse, database: string, scope: Scope = {}): Promise<Violations> {
  return findViolations(
    client,
    `SELECT tenant_id, bot_id, conversation_id, message_id, count() AS copies
     FROM ${quoteName(database)}.messages FINAL
     WHERE ${conditions([inPartitions('origin_partition', scope), sentSince(scope)])}
     GROUP BY tenant_id, bot_id, conversation_id, message_id
     HAVING ${conditions(['copies > 1', touchedSince(scope)])}`,
    scope,
  );
}

/** Two current rows for one first place in `chat.events`: one message under two ids. */
export async function doubleOrigins(client: ClickHouse, database: string, scope: Scope = {}): Promise<Violations> {
  return await findViolations(
    client,
    `SELECT origin_topic_id, origin_partition, origin_offset, count() AS copies,
       [min(message_id), max(message_id)] AS message_ids
     FROM ${quoteName(database)}.messages FINAL
     WHERE ${conditions([inPartitions('origin_partition', scope), sentSince(scope)])}
     GROUP BY origin_topic_id, origin_partition, origin_offset
     HAVING ${conditions(['copies > 1', 'min(message_id) != max(message_id)', touchedSince(scope)])}`,
    scope,
  );
}

/** Receipts of a message that should have a fact and have none: no row of its key, of any revision. */
export function receiptsWithoutFacts(client: ClickHouse, database: string, scope: Scope = {}): Promise<Violations> {
  const db = quoteName(database);
  // Both sides under one grouping: a set of all ids would not spill to disk, groups do. An id is unique within its
  // conversation alone, so the hash of the whole key goes with it; receipts of before migration 6 have none (0), and
  // where there are any, each fact stands for its id alone as well.
  const outcomes = "outcome NOT IN ('duplicate', 'gap')";
  return findViolations(
    client,
    `SELECT message_id, min(each.topic_id) AS topic_id, min(each.partition) AS partition, min(each.offset) AS offset,
       any(each.outcome) AS outcome
     FROM (
       SELECT message_id, key_crc, topic_id, partition, offset, outcome, 0 AS facts FROM ${db}.receipts
       WHERE ${conditions([
         outcomes,
         inPartitions('partition', scope),
         scope.since === undefined ? undefined : `enriched_at >= ${instant(scope.since)}`,
       ])}
       UNION ALL
       SELECT message_id, key_crc, '', 0, 0, '', 1 FROM ${db}.messages
       ARRAY JOIN arraySlice(
         [CRC32(concat(tenant_id, '\\0', bot_id, '\\0', conversation_id, '\\0', message_id)), 0],
         1, 1 + (SELECT max(key_crc = 0) FROM ${db}.receipts WHERE ${outcomes})
       ) AS key_crc
       WHERE ${scope.since === undefined ? '1' : `enriched_at >= ${instant(scope.since)}`}
     ) AS each
     GROUP BY message_id, key_crc
     HAVING sum(each.facts) = 0`,
    scope,
  );
}

/** Facts whose record has no receipt, as far back as receipts are kept (14 days). */
export function factsWithoutReceipts(client: ClickHouse, database: string): Promise<Violations> {
  const db = quoteName(database);
  return findViolations(
    client,
    `SELECT message_id, log_topic_id, log_partition, log_offset, enriched_at
     FROM ${db}.messages FINAL
     WHERE enriched_at > now64(3) - INTERVAL 13 DAY
       AND (log_topic_id, log_partition, log_offset) NOT IN
         (SELECT log_topic_id, log_partition, log_offset FROM ${db}.receipts)`,
  );
}

/** Facts whose key is not in `message_keys`, as far back as keys are kept (7 days at the least). */
export function factsWithoutKeys(client: ClickHouse, database: string): Promise<Violations> {
  const db = quoteName(database);
  return findViolations(
    client,
    `SELECT message_id, log_topic_id, log_partition, log_offset, enriched_at
     FROM ${db}.messages FINAL
     WHERE enriched_at > now64(3) - INTERVAL 6 DAY
       AND (log_topic_id, log_partition, log_offset) NOT IN
         (SELECT log_topic_id, log_partition, log_offset FROM ${db}.message_keys)`,
  );
}
