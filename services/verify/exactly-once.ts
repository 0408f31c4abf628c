import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import {
  doubleFacts,
  doubleReceipts,
  factsWithoutKeys,
  factsWithoutReceipts,
  receiptsWithoutFacts,
} from './queries/reconciliation.ts';
import { rollupMismatches } from './queries/rollup-recount.ts';
import type { Violations } from './queries/violation-query.ts';

const shown = (values: readonly string[]): string =>
  `${values.slice(0, 5).join(', ')}${values.length > 5 ? ', …' : ''}`;

/**
 * Exactly once, as one object for tests, load and chaos runs: the facts are these messages, each once, each with one
 * receipt and key, and every rollup equals a recount.
 *
 * @param expectedIds the message ids that must be there and no others.
 * @throws {Error} naming everything that is wrong.
 */
export async function expectExactlyOnce(client: ClickHouse, expectedIds: Iterable<string>): Promise<void> {
  const { database } = client;
  const rows = await client.query<{ message_id: string }>('SELECT message_id FROM messages FINAL');
  const found = new Set(rows.map(({ message_id }) => message_id));
  const expected = new Set(expectedIds);
  const missing = [...expected].filter((id) => !found.has(id));
  const extra = [...found].filter((id) => !expected.has(id));
  const wrong: string[] = [];
  if (missing.length > 0) wrong.push(`${missing.length} of ${expected.size} missing: ${shown(missing)}`);
  if (extra.length > 0) wrong.push(`${extra.length} unexpected: ${shown(extra)}`);
  const checks: [string, Violations][] = [
    ['double facts', await doubleFacts(client, database)],
    ['double receipts', await doubleReceipts(client, database)],
    ['receipts without a fact', await receiptsWithoutFacts(client, database)],
    ['facts without a receipt', await factsWithoutReceipts(client, database)],
    ['facts without a key', await factsWithoutKeys(client, database)],
    ['rollup mismatches', await rollupMismatches(client, database)],
  ];
  for (const [what, { count, examples }] of checks) {
    if (count > 0) wrong.push(`${count} ${what}: ${JSON.stringify(examples.slice(0, 3))}`);
  }
  if (wrong.length > 0) throw new Error(`not exactly once: ${wrong.join('; ')}`);
}
