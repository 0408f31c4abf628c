import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { literalLists, quote } from '../platform/clickhouse/sql-statements.ts';
import type { ReadLetter } from './dead-letters.ts';
import { originOf, type PresentRow } from './plan.ts';

type Key = readonly [tenant: string, bot: string, conversation: string, message: string];

const literal = (key: Key): string => `(${key.map(quote).join(',')})`;

/** The rows that may stand for a letter's message: under its own key, or as a record that could not be decoded. */
function keysOf(read: ReadLetter, replayTopic: string): Key[] {
  const { event } = read;
  const origin = originOf(read, replayTopic);
  const keys: Key[] = [];
  if (event) keys.push([event.tenant_id, event.bot_id, event.conversation_id, event.message_id]);
  if (origin) keys.push(['', '', '', `dead:${origin.topic_id}:${origin.partition}:${origin.offset}`]);
  return keys;
}

/** The present row of each letter's message, in the letters' order; undefined where there is none (yet). */
export async function readPresentRows(
  clickhouse: ClickHouse,
  letters: readonly ReadLetter[],
  replayTopic: string,
): Promise<(PresentRow | undefined)[]> {
  const keys = letters.map((read) => keysOf(read, replayTopic).map(literal));
  const found = new Map<string, PresentRow>();
  for (const list of literalLists(new Set(keys.flat()))) {
    // The newest revision by hand: FINAL would read the whole of every part that the index does not rule out.
    const rows = await clickhouse.query<PresentRow & { key: Key; deleted: number }>(
      `SELECT [toString(tenant_id), bot_id, conversation_id, message_id] AS key, max(messages.revision) AS revision,
         argMax(toString(messages.outcome), messages.revision) AS outcome,
         argMax(is_deleted, (messages.revision, is_deleted)) AS deleted
       FROM messages
       WHERE (tenant_id, bot_id, conversation_id, message_id) IN (${list})
       GROUP BY key`,
    );
    for (const { key, outcome, revision, deleted } of rows) {
      if (Number(deleted) === 0) found.set(literal(key), { outcome, revision: Number(revision) });
    }
  }
  return keys.map((candidates) => candidates.map((key) => found.get(key)).find((row) => row !== undefined));
}
