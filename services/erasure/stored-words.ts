import type { EpochMs } from '../core/brands.ts';
import { type ErasureSubject, subjectHash } from '../core/erasure.ts';
import { ParleyError } from '../core/errors.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { quote } from '../platform/clickhouse/sql-statements.ts';

/** What the facts still hold of a subject. */
export interface StoredWords {
  /** Rows with a text, user, metadata or topics; older revisions of a message count as well. */
  readonly rows: number;
  readonly messages: number;
  /** Conversations in which they stand: others may have answered with a name. */
  readonly conversations: number;
}

/** A rewrite of the facts' parts that is under way. */
export interface Rewrite {
  readonly partsLeft: number;
  /** ClickHouse's own words where the last try failed; it tries again by itself. */
  readonly failure: string;
}

const COLUMNS: Readonly<Record<ErasureSubject['scope'], string>> = {
  user: "tenant_id, '\\0', user_id",
  conversation: "tenant_id, '\\0', bot_id, '\\0', conversation_id",
  bot: "tenant_id, '\\0', bot_id",
};

/**
 * The rows to blank, by the subject's hash: ClickHouse keeps the text of a mutation, and may keep that of any query. A row
 * that hides another (`is_deleted`) has the other's key, so nobody's words may be in it.
 */
const WORDS = "(text != '' OR user_id != '' OR notEmpty(metadata) OR notEmpty(topics))";
function condition(subject: ErasureSubject, until: EpochMs): string {
  const { tenant, scope } = subject;
  return (
    `${WORDS} AND (is_deleted = 1 OR tenant_id = ${quote(tenant)}` +
    ` AND least(sent_at, received_at) <= fromUnixTimestamp64Milli(toInt64(${until}), 'UTC')` +
    ` AND lower(hex(SHA256(concat('${scope}\\0', ${COLUMNS[scope]})))) = '${subjectHash(subject)}')`
  );
}

/** Everything that ClickHouse holds of what a subject said stands in one table. */
export class WordStore {
  readonly #client: ClickHouse;

  constructor(client: ClickHouse) {
    this.#client = client;
  }

  /** @throws {ParleyError} CLICKHOUSE_SCHEMA before migration 9, where words could come back. */
  async assertGuarded(): Promise<void> {
    const found = await this.#client.query(
      `SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'ingest_to_messages'
         AND position(create_table_query, 'known_erasures') > 0`,
    );
    if (found.length > 0) return;
    throw new ParleyError(
      'CLICKHOUSE_SCHEMA',
      `${this.#client.database} lacks migration 9; the sink makes it when it starts`,
    );
  }

  async count(subject: ErasureSubject, until: EpochMs): Promise<StoredWords> {
    const [found] = await this.#client.query<StoredWords>(
      `SELECT count() AS rows, uniqExactIf((bot_id, conversation_id, message_id), is_deleted = 0) AS messages,
         uniqExactIf((bot_id, conversation_id), is_deleted = 0) AS conversations
       FROM messages WHERE ${condition(subject, until)}`,
    );
    return {
      rows: Number(found?.rows ?? 0),
      messages: Number(found?.messages ?? 0),
      conversations: Number(found?.conversations ?? 0),
    };
  }

  /** Begins to rewrite the parts that hold such rows; ClickHouse goes on with it by itself, also after a restart. */
  async blank(subject: ErasureSubject, until: EpochMs): Promise<void> {
    await this.#client.command(
      `ALTER TABLE messages UPDATE text = '', user_id = '', metadata = map(), topics = [] WHERE ${condition(subject, until)}`,
      { settings: { mutations_sync: '0' } },
    );
  }

  /** What is under way for a subject, by whatever run; undefined when nothing is. */
  async rewriting(subject: ErasureSubject): Promise<Rewrite | undefined> {
    const [found] = await this.#client.query<{ parts: number; failure: string }>(
      `SELECT sum(parts_to_do) AS parts, max(latest_fail_reason) AS failure FROM system.mutations
       WHERE database = currentDatabase() AND table = 'messages' AND NOT is_done
         AND position(command, {subject:String}) > 0 HAVING count() > 0`,
      { params: { subject: subjectHash(subject) } },
    );
    return found && { partsLeft: Number(found.parts), failure: found.failure };
  }

  /** Inserts of blocks that began longer than `ageMs` ago and have not ended. */
  async insertsOlderThan(ageMs: number): Promise<number> {
    const [found] = await this.#client.query<{ inserts: number }>(
      `SELECT count() AS inserts FROM system.processes
       WHERE query_kind = 'Insert' AND position(query, 'ingest') > 0 AND elapsed * 1000 > {age_ms:Float64}`,
      { params: { age_ms: ageMs } },
    );
    return Number(found?.inserts ?? 0);
  }
}
