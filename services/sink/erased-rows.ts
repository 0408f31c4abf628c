import type { ErasureList } from '../platform/clickhouse/erasure-list.ts';
import { INGEST_COLUMNS, type IngestRow } from './ingest-row.ts';

const at = (column: string): number => INGEST_COLUMNS.indexOf(column);
const [TO_MESSAGES, TENANT, BOT, CONVERSATION, USER] = [
  at('to_messages'),
  at('tenant_id'),
  at('bot_id'),
  at('conversation_id'),
  at('user_id'),
];
const [SENT, RECEIVED, KNOWN] = [at('sent_at'), at('received_at'), at('known_erasures')];
/** What is blank in an erased row: `parley forget` blanks the same in rows that are stored. */
const WORDS: ReadonlyMap<number, unknown> = new Map<number, unknown>([
  [at('text'), ''],
  [USER, ''],
  [at('metadata'), {}],
  [at('topics'), []],
]);

/** The rows of a block as they may be stored by what is known of erasures; all else of them stays. */
export function withoutErased(rows: readonly IngestRow[], erasures: ErasureList): IngestRow[] {
  return rows.map((row) => {
    const isErased =
      row[TO_MESSAGES] === 1 &&
      erasures.isErased({
        tenant_id: row[TENANT] as string,
        bot_id: row[BOT] as string,
        conversation_id: row[CONVERSATION] as string,
        user_id: row[USER] as string,
        sent_at: row[SENT] as number,
        received_at: row[RECEIVED] as number,
      });
    // Rows are made for a list without erasures, which most installations have: copying 52 values costs a microsecond.
    if (!isErased) return row[KNOWN] === erasures.rows ? row : row.with(KNOWN, erasures.rows);
    return row.map((value, column) => (column === KNOWN ? erasures.rows : (WORDS.get(column) ?? value)));
  });
}
