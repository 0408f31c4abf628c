import { ParleyError } from '../../core/errors.ts';
import type { ClickHouse } from './clickhouse.ts';

/** Every table that a block of the sink is stored in, and where its decisions are. */
const TARGETS = ['messages', 'receipts', 'decisions', 'message_keys', 'rollup_sums', 'rollup_conversations'] as const;

/** Blocks whose tokens must be remembered: 15 inserts a second over two table partitions for 55 minutes of freeze. */
const NEEDED_BLOCKS = 100_000;
/** On replicated engines tokens are forgotten by age as well: as long as `chat.enriched` keeps its records, 7 days. */
const NEEDED_SECONDS = 7 * 86_400;

interface Table {
  readonly name: string;
  readonly engine: string;
  readonly create: string;
}

const settingOf = ({ create }: Table, name: string): number =>
  Number(new RegExp(`\\b${name}\\s*=\\s*'?(\\d+)`).exec(create)?.[1] ?? 0);

function problemOf(table: Table): string | undefined {
  const replicated = /^(Replicated|Shared)/.test(table.engine);
  const needed = replicated
    ? { replicated_deduplication_window: NEEDED_BLOCKS, replicated_deduplication_window_seconds: NEEDED_SECONDS }
    : { non_replicated_deduplication_window: NEEDED_BLOCKS };
  const wrong = Object.entries(needed).filter(([name, least]) => settingOf(table, name) < least);
  if (wrong.length === 0) return undefined;
  return `${table.name} needs ${wrong.map(([name, least]) => `${name} >= ${least}`).join(' and ')}`;
}

/**
 * A retried block is recognised only within a table's deduplication window, and a MergeTree has none by default.
 *
 * @throws {ParleyError} CLICKHOUSE_SCHEMA naming every target that is missing or has too small a window.
 */
export async function assertDedupWindows(client: ClickHouse): Promise<void> {
  const tables = await client.query<Table>(
    `SELECT name, engine, create_table_query AS create FROM system.tables WHERE database = {database:String}`,
    { params: { database: client.database } },
  );
  const byName = new Map(tables.map((table) => [table.name, table]));
  const problems = TARGETS.flatMap((name) => {
    const table = byName.get(name);
    return (table ? problemOf(table) : `${name} does not exist`) ?? [];
  });
  if (problems.length > 0) {
    throw new ParleyError('CLICKHOUSE_SCHEMA', `in ${client.database}: ${problems.join('; ')}`);
  }
}
