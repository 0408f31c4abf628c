import { deadKey, keyHash, type MessageKey } from '../core/message-key.ts';
import type { ChatOutcome } from '../core/records.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { literalLists, quote } from '../platform/clickhouse/sql-statements.ts';
import { timeWithin } from './clamps.ts';
import type { BlockId } from './ingest-row.ts';
import type { PresentRow } from './present-row.ts';
import { notOwn } from './receipt-queries.ts';

const COLUMNS = (table: string) => `outcome, revision, sentiment_label, sentiment_e4, toxicity_score, latency_ms,
  latency_counts, origin_topic_id, origin_partition, origin_offset,
  toUnixTimestamp64Milli(${table}.sent_at) AS sent_at,
  toUnixTimestamp64Milli(${table}.sent_at_original) AS sent_at_original`;

/**
 * The rows that other blocks than `own` brought in of these outcomes' messages, older revisions among them: under the
 * message's own key, and for a replay under that of a record which could not be decoded, too.
 *
 * They are looked up in `message_keys` (ADR 20). A replay whose message came in before that table reaches is looked for
 * among the facts: a dead letter is kept for longer than a key. Its place in their sort key is known.
 */
export async function presentRows(
  client: ClickHouse,
  outcomes: readonly ChatOutcome[],
  own: BlockId,
): Promise<PresentRow[]> {
  const keysOf = (outcome: ChatOutcome): MessageKey[] =>
    outcome.revision > 0 ? [outcome, deadKey(outcome.origin)] : [outcome];
  const asked = new Map(outcomes.flatMap(keysOf).map((key) => [keyHash(key), key]));
  const found: PresentRow[] = [];
  const known = new Set<string>();
  for (const list of literalLists([...asked.keys()])) {
    // By itself the engine would read the other conditions' columns, too, in each granule where a key might be.
    const rows = await client.query<PresentRow & { hash: string }>(
      `SELECT lower(hex(key_hash)) AS hash, ${COLUMNS('message_keys')} FROM message_keys
       PREWHERE key_hash IN (SELECT toFixedString(unhex(arrayJoin(splitByChar(',', ${quote(list)}))), 16))
       WHERE is_deleted = 0${notOwn(own)}`,
    );
    for (const { hash, ...row } of rows) {
      const key = asked.get(hash);
      if (!key) continue;
      const { tenant_id, bot_id, conversation_id, message_id } = key;
      found.push({ ...row, tenant_id, bot_id, conversation_id, message_id });
      known.add(hash);
    }
  }
  const beyond = outcomes.filter(
    (outcome) => outcome.revision > 0 && !keysOf(outcome).some((key) => known.has(keyHash(key))),
  );
  return beyond.length === 0 ? found : [...found, ...(await factsOf(client, beyond, own))];
}

async function factsOf(client: ClickHouse, outcomes: readonly ChatOutcome[], own: BlockId): Promise<PresentRow[]> {
  const decoded = outcomes.map(
    (outcome) =>
      `(${quote(outcome.tenant_id)},${quote(outcome.bot_id)},` +
      `toStartOfHour(fromUnixTimestamp64Milli(toInt64(${timeWithin(outcome.sent_at)}),'UTC')),` +
      `${quote(outcome.conversation_id)},${quote(outcome.message_id)})`,
  );
  const dead = outcomes.map(({ origin }) => quote(deadKey(origin).message_id));
  const inFacts = (where: string) =>
    client.query<PresentRow>(
      `SELECT tenant_id, bot_id, conversation_id, message_id, ${COLUMNS('messages')} FROM messages
       WHERE ${where} AND is_deleted = 0${notOwn(own)}`,
    );
  const found: PresentRow[] = [];
  for (const list of literalLists(decoded)) {
    const key = '(tenant_id, bot_id, toStartOfHour(messages.sent_at), conversation_id, message_id)';
    found.push(...(await inFacts(`${key} IN (${list})`)));
  }
  for (const list of literalLists(dead)) {
    found.push(...(await inFacts(`tenant_id = '' AND bot_id = '' AND message_id IN (${list})`)));
  }
  return found;
}
