import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { messageOf, ParleyError } from '../../core/errors.ts';
import type { Logger } from '../logger.ts';
import { type ClickHouse, unreachable } from './clickhouse.ts';
import { forCluster } from './cluster-statements.ts';
import { quoteName, splitStatements } from './sql-statements.ts';

export interface MigrationOptions {
  readonly log: Logger;
  /** Folder of `<number>_<name>.sql` files; Parley's own by default. */
  readonly folder?: string;
}

interface Migration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly statements: readonly string[];
}

const FOLDER = fileURLToPath(new URL('../../../schemas/clickhouse/', import.meta.url));
const STATEMENT_ATTEMPTS = 6;
/** Migration 6 copies the keys of eight days: a minute for 50 million messages, on one core. */
const STATEMENT_TIMEOUT_MS = 3_600_000;

const CREATE_MIGRATIONS = `
CREATE TABLE IF NOT EXISTS migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (version, checksum)`;

/** The numbered files, in their order. @throws {ParleyError} CLICKHOUSE_SCHEMA where two have one number. */
export async function readMigrations(folder = FOLDER): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d+_.+\.sql$/.test(name)).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const sql = await readFile(`${folder}/${name}`, 'utf8');
      const checksum = createHash('sha256').update(sql).digest('hex');
      return { version: Number.parseInt(name, 10), name, checksum, statements: splitStatements(sql) };
    }),
  );
  const double = found.find(({ version }, index) => found[index + 1]?.version === version);
  if (double) throw new ParleyError('CLICKHOUSE_SCHEMA', `two migrations have the number ${double.version}`);
  return found;
}

/**
 * Brings a database up to date: runs the numbered files that its `migrations` table does not record. There is no lock
 * to be left behind by a killed process: every statement may run twice, so several processes may migrate at once, and
 * one that failed half-way starts its file over.
 *
 * @throws {ParleyError} CLICKHOUSE_SCHEMA when a file differs from what was applied under its number, or is wrong;
 *   CLICKHOUSE_UNREACHABLE.
 */
export async function migrate(client: ClickHouse, { log, folder = FOLDER }: MigrationOptions): Promise<void> {
  const migrations = await readMigrations(folder);
  const root = client.in('default');
  try {
    await run(root, `CREATE DATABASE IF NOT EXISTS ${quoteName(client.database)}`);
  } finally {
    await root.close();
  }
  await run(client, CREATE_MIGRATIONS);
  const applied = new Map<number, string>();
  const rows = await client.query<{ version: number; checksum: string }>('SELECT version, checksum FROM migrations');
  for (const { version, checksum } of rows) applied.set(version, checksum);
  const patient = client.in(client.database, STATEMENT_TIMEOUT_MS);
  try {
    for (const migration of migrations) {
      const { version, name, checksum } = migration;
      const before = applied.get(version);
      if (before === checksum) continue;
      if (before !== undefined) {
        throw new ParleyError(
          'CLICKHOUSE_SCHEMA',
          `migration ${name} was changed after it was applied to ${client.database} (checksum ${before.slice(0, 12)} then, ` +
            `${checksum.slice(0, 12)} now): put the file back as it was and make the change in a new file`,
        );
      }
      for (const statement of migration.statements) await apply(patient, statement);
      await client.insert({
        table: 'migrations',
        columns: ['version', 'name', 'checksum'],
        rows: [[version, name, checksum]],
      });
      log.info({ database: client.database, migration: name }, 'migration applied');
    }
  } finally {
    await patient.close();
  }
}

const MODIFIED_VIEW = /^(?:\s*--.*\n)*\s*ALTER TABLE (\w+) MODIFY QUERY\b/;

/**
 * From `MODIFY QUERY` until its next start a server (26.7) derives a view's deduplication tokens from another identity
 * than before and after: a block that is inserted again on the other side of either border would be doubled in the
 * view's target. Renaming the view there and back, which never takes it off its source, restores the identity.
 */
async function apply(client: ClickHouse, statement: string): Promise<void> {
  const view = MODIFIED_VIEW.exec(statement)?.[1];
  if (view === undefined) return run(client, statement);
  const aside = `${view}_renamed`;
  // Left behind by a process that was killed between the two halves.
  await run(client, `RENAME TABLE IF EXISTS ${aside} TO ${view}`);
  await run(client, statement);
  await run(client, `RENAME TABLE ${view} TO ${aside}, ${aside} TO ${view}`);
}

/**
 * Two processes that create or replace the same object at once can make one of them fail although the object is there
 * in the end; the statement may run again, so it does. A statement that is really wrong fails every time.
 */
async function run(client: ClickHouse, statement: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.command(forCluster(statement, client.cluster));
      return;
    } catch (error) {
      if (attempt === STATEMENT_ATTEMPTS) {
        const away = unreachable(error);
        if (away) throw away;
        const head = statement.replace(/^(\s*--.*\n)*/, '').split('\n', 1)[0];
        throw new ParleyError('CLICKHOUSE_SCHEMA', `"${head}" failed: ${messageOf(error)}`, { cause: error });
      }
      await delay(Math.random() * 50 * 2 ** attempt);
    }
  }
}
