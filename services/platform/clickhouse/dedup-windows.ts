import { ParleyError } from '../../core/errors.ts';
import type { ClickHouse } from './clickhouse.ts';
import { forCluster, REPLICATED_WINDOW_S } from './cluster-statements.ts';
import { quoteName } from './sql-statements.ts';

/** Every table that a block of the sink is stored in, and where its decisions are. */
const TARGETS = ['messages', 'receipts', 'decisions', 'message_keys', 'rollup_sums', 'rollup_conversations'] as const;

/** What the migrations set. */
const LEAST_BLOCKS = 100_000;
/** A block that is inserted again after this long is still recognised, however many others went in meanwhile. */
const FREEZE_S = 3_600;
/** At the turn of a month or a day a block touches two table partitions. */
const TABLE_PARTITIONS = 2;
/** Blocks follow one another no faster, whatever age they may have: an insert takes its time, too. */
const LEAST_CADENCE_S = 0.2;

/**
 * Blocks whose tokens a table has to remember: of each partition of chat.enriched one every `gapMs`, the least time between
 * two of them, over two table partitions, for an hour of freeze. Two partitions at 866 ms are 16,629, twelve 99,770,
 * ninety-six 798,153.
 */
export const neededBlocks = ({ partitions, gapMs }: { partitions: number; gapMs: number }): number =>
  Math.max(
    LEAST_BLOCKS,
    Math.ceil((partitions / Math.max(gapMs / 1_000, LEAST_CADENCE_S)) * TABLE_PARTITIONS * FREEZE_S),
  );
interface Table {
  readonly name: string;
  readonly engine: string;
  readonly create: string;
}

const settingOf = ({ create }: Table, name: string): number =>
  Number(new RegExp(`\\b${name}\\s*=\\s*'?(\\d+)`).exec(create)?.[1] ?? 0);

const isReplicated = ({ engine }: Table): boolean => /^(Replicated|Shared)/.test(engine);
const windowOf = (table: Table): string =>
  isReplicated(table) ? 'replicated_deduplication_window' : 'non_replicated_deduplication_window';

function problemOf(table: Table, blocks: number): string | undefined {
  const needed = {
    [windowOf(table)]: blocks,
    ...(isReplicated(table) && { replicated_deduplication_window_seconds: REPLICATED_WINDOW_S }),
  };
  const wrong = Object.entries(needed).filter(([name, least]) => settingOf(table, name) < least);
  if (wrong.length === 0) return undefined;
  return `${table.name} needs ${wrong.map(([name, least]) => `${name} >= ${least}`).join(' and ')}`;
}

const readTables = async (client: ClickHouse): Promise<Map<string, Table>> => {
  const tables = await client.query<Table>(
    `SELECT name, engine, create_table_query AS create FROM system.tables WHERE database = {database:String}`,
    { params: { database: client.database } },
  );
  return new Map(tables.map((table) => [table.name, table]));
};

/** Widens the windows that the migrations set where so many blocks need it; one that is smaller than theirs is left. */
export async function widenDedupWindows(client: ClickHouse, blocks: number): Promise<void> {
  const tables = await readTables(client);
  for (const name of TARGETS) {
    const table = tables.get(name);
    if (!table) continue;
    const window = settingOf(table, windowOf(table));
    if (window < LEAST_BLOCKS || window >= blocks) continue;
    const statement = `ALTER TABLE ${quoteName(name)} MODIFY SETTING ${windowOf(table)} = ${blocks}`;
    await client.command(forCluster(statement, client.cluster));
  }
}

/**
 * A retried block is recognised only within a table's deduplication window, and a MergeTree has none by default.
 *
 * @param blocks that must be remembered: {@link neededBlocks}.
 * @throws {ParleyError} CLICKHOUSE_SCHEMA naming every target that is missing or has too small a window.
 */
export async function assertDedupWindows(client: ClickHouse, blocks = LEAST_BLOCKS): Promise<void> {
  const tables = await readTables(client);
  const problems = TARGETS.flatMap((name) => {
    const table = tables.get(name);
    return (table ? problemOf(table, blocks) : `${name} does not exist`) ?? [];
  });
  if (problems.length > 0) {
    throw new ParleyError('CLICKHOUSE_SCHEMA', `in ${client.database}: ${problems.join('; ')}`);
  }
}
