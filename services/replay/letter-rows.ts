import { deadKey, keyHash, type MessageKey } from '../core/message-key.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { literalLists, quote } from '../platform/clickhouse/sql-statements.ts';
import type { ReadLetter } from './dead-letters.ts';
import { type LetterRow, originOf } from './plan.ts';

/** A key under which a letter's message may have its row; `sentAt` (ms) is undefined where only the sink knew it. */
interface Candidate extends MessageKey {
  readonly sentAt: number | undefined;
}

/** The rows that may stand for a letter's message: under its own key, or as a record that could not be decoded. */
function candidatesOf(read: ReadLetter, replayTopic: string): Candidate[] {
  const { event } = read;
  const origin = originOf(read, replayTopic);
  return [
    ...(event ? [{ ...event, sentAt: event.sent_at }] : []),
    ...(origin ? [{ ...deadKey(origin), sentAt: undefined }] : []),
  ];
}

/**
 * The row of each letter's message, in the letters' order; undefined where there is none (yet). Looked up in
 * `message_keys` (ADR 20); letters are kept for longer than keys, so the rest is looked for among the facts, by its
 * place in their sort key.
 */
export async function readLetterRows(
  clickhouse: ClickHouse,
  letters: readonly ReadLetter[],
  replayTopic: string,
): Promise<(LetterRow | undefined)[]> {
  const candidates = letters.map((read) => candidatesOf(read, replayTopic));
  const hashes = candidates.map((each) => each.map(keyHash));
  const found = await rowsByHash(clickhouse, new Set(hashes.flat()));
  const rowOf = (index: number) => hashes[index]?.map((hash) => found.get(hash)).find((row) => row !== undefined);
  const beyond = candidates.filter((_, index) => rowOf(index) === undefined).flat();
  for (const [hash, row] of await factsOf(clickhouse, beyond)) found.set(hash, row);
  return candidates.map((_, index) => rowOf(index));
}

interface Found {
  readonly hash: string;
  readonly outcome: string;
  readonly revision: number;
  readonly deleted: number;
}

/** The newest revision by hand: FINAL would read the whole of every part that the key does not rule out. */
const NEWEST = (table: string) => `max(${table}.revision) AS revision,
  argMax(toString(${table}.outcome), ${table}.revision) AS outcome,
  argMax(is_deleted, (${table}.revision, is_deleted)) AS deleted`;

const present = (rows: readonly Found[]): [string, LetterRow][] =>
  rows
    .filter(({ deleted }) => Number(deleted) === 0)
    .map(({ hash, outcome, revision }) => [hash, { outcome, revision: Number(revision) }]);

async function rowsByHash(clickhouse: ClickHouse, hashes: ReadonlySet<string>): Promise<Map<string, LetterRow>> {
  const found: [string, LetterRow][] = [];
  for (const list of literalLists(hashes)) {
    const rows = await clickhouse.query<Found>(
      `SELECT lower(hex(key_hash)) AS hash, ${NEWEST('message_keys')} FROM message_keys
       WHERE key_hash IN (SELECT toFixedString(unhex(arrayJoin(splitByChar(',', ${quote(list)}))), 16))
       GROUP BY key_hash`,
    );
    found.push(...present(rows));
  }
  return new Map(found);
}

async function factsOf(clickhouse: ClickHouse, keys: readonly Candidate[]): Promise<[string, LetterRow][]> {
  const decoded = keys.filter(({ sentAt }) => sentAt !== undefined);
  const places = decoded.map(
    (key) =>
      `(${quote(key.tenant_id)},${quote(key.bot_id)},` +
      `toStartOfHour(fromUnixTimestamp64Milli(toInt64(${key.sentAt}),'UTC')),` +
      `${quote(key.conversation_id)},${quote(key.message_id)})`,
  );
  const dead = keys.filter(({ sentAt }) => sentAt === undefined).map(({ message_id }) => quote(message_id));
  const inFacts = (where: string) =>
    clickhouse.query<Found & MessageKey>(
      `SELECT toString(messages.tenant_id) AS tenant_id, bot_id, conversation_id, message_id, ${NEWEST('messages')}
       FROM messages WHERE ${where} GROUP BY tenant_id, bot_id, conversation_id, message_id`,
    );
  const rows: (Found & MessageKey)[] = [];
  for (const list of literalLists(places)) {
    const key = '(messages.tenant_id, bot_id, toStartOfHour(messages.sent_at), conversation_id, message_id)';
    rows.push(...(await inFacts(`${key} IN (${list})`)));
  }
  for (const list of literalLists(dead)) {
    rows.push(...(await inFacts(`messages.tenant_id = '' AND bot_id = '' AND message_id IN (${list})`)));
  }
  return present(rows.map((row) => ({ ...row, hash: keyHash(row) })));
}
