import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';
import { epochMs } from '../../core/brands.ts';
import { isolation, stack } from '../../local/testing/stack.ts';
import { doubleFacts, doubleReceipts, receiptsWithoutFacts } from '../../verify/queries/reconciliation.ts';
import { rollupMismatches } from '../../verify/queries/rollup-recount.ts';
import { createLogger } from '../logger.ts';
import { type ClickHouse, createClickHouse } from './clickhouse.ts';
import { forCluster } from './cluster-statements.ts';
import { assertDedupWindows, neededBlocks, widenDedupWindows } from './dedup-windows.ts';
import { migrate, readMigrations } from './migrations.ts';
import { quote } from './sql-statements.ts';

const log = createLogger('test', 'silent');
const FOLDER = fileURLToPath(new URL('../../../schemas/clickhouse/', import.meta.url));
const MIGRATE_ONCE = fileURLToPath(new URL('./testing/migrate-once.ts', import.meta.url));
const open: ClickHouse[] = [];

function newDatabase(): ClickHouse {
  const client = createClickHouse({
    url: stack().clickhouseUrl,
    database: isolation('clickhouse').CLICKHOUSE_DATABASE,
    log,
  });
  open.push(client);
  return client;
}

async function migrated(): Promise<ClickHouse> {
  const client = newDatabase();
  await migrate(client, { log });
  return client;
}

afterAll(async () => {
  for (const client of open) {
    await client.command(`DROP DATABASE IF EXISTS ${client.database}`);
    await client.close();
  }
});

describe('migrations', () => {
  it('come out the same from four processes at once, and again', async () => {
    const client = newDatabase();
    const run = promisify(execFile);
    const once = () => run(process.execPath, [MIGRATE_ONCE, stack().clickhouseUrl, client.database]);
    await Promise.all([once(), once(), once(), once()]);
    await Promise.all([once(), once(), once(), once()]);
    await assertDedupWindows(client);
    const applied = await client.query('SELECT DISTINCT version FROM migrations ORDER BY version');
    const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql'));
    expect(applied).toEqual(
      files.map((name) => ({ version: Number.parseInt(name, 10) })).sort((a, b) => a.version - b.version),
    );
    const views = await client.query(
      "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView'",
    );
    expect(views).toHaveLength(9);
  });

  it('refuse a file that was changed after it was applied, and take a new one', async () => {
    const client = newDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'parley-migrations-'));
    try {
      await cp(FOLDER, folder, { recursive: true });
      await migrate(client, { log, folder });
      await writeFile(
        join(folder, '9999_more.sql'),
        "CREATE TABLE IF NOT EXISTS more (a String DEFAULT ';--') ENGINE = Memory;",
      );
      await migrate(client, { log, folder });
      await writeFile(join(folder, '9999_more.sql'), 'CREATE TABLE IF NOT EXISTS more (b String) ENGINE = Memory;');
      await expect(migrate(client, { log, folder })).rejects.toMatchObject({
        code: 'CLICKHOUSE_SCHEMA',
        message: expect.stringContaining('9999_more.sql was changed'),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('take over what an earlier version stored, and go on taking what it still stores', async () => {
    const client = newDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'parley-migrations-'));
    try {
      await cp(FOLDER, folder, { recursive: true });
      for (const name of await readdir(folder)) if (name >= '0004') await rm(join(folder, name));
      await migrate(client, { log, folder });
      // As the sink of that version inserts: it knows of no later column.
      const insert = (from: number, sign: 1 | -1, revision: number) =>
        client.command(`INSERT INTO ingest (to_receipts, to_messages, sign, topic_id, offset, last_offset, revision,
          message_id, tenant_id, bot_id, conversation_id, sent_at, enriched_at, outcome, receipt_outcome, latency_ms)
          SELECT ${sign} = 1, ${sign} = 1, ${sign}, 't', number + ${from}, number + ${from}, ${revision},
            'm' || toString(number % 100), 'a', 'b', 'c' || toString(number % 7), now64(3), now64(3), 'enriched',
            'enriched', number FROM numbers(100)`);
      await insert(0, 1, 0);
      const shown = () => client.query('SELECT * EXCEPT (hour) FROM bot_hour');
      const before = await shown();
      await migrate(client, { log });
      await migrate(client, { log });
      expect(await shown()).toMatchObject(before as object[]);
      const keys = () => client.query('SELECT count() AS keys, max(revision) AS revision FROM message_keys FINAL');
      expect(await keys()).toEqual([{ keys: 100, revision: 0 }]);
      expect((await rollupMismatches(client, client.database)).count).toBe(0);
      await insert(0, -1, 0);
      await insert(100, 1, 1);
      expect(await keys()).toEqual([{ keys: 100, revision: 1 }]);
      expect(await client.query('SELECT messages, conversations FROM bot_hour')).toEqual([
        { messages: 100, conversations: 7 },
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('name the statement that is wrong', async () => {
    const client = newDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'parley-migrations-'));
    try {
      await writeFile(join(folder, '0001_bad.sql'), '-- a comment\nCREATE TABEL x (a String);');
      await expect(migrate(client, { log, folder })).rejects.toThrow(/"CREATE TABEL x \(a String\)" failed/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a cluster, which nobody has run this on', () => {
  it('gets statements that the engine understands, on every replica, with replicated tables and their windows', async () => {
    const statements = (await readMigrations()).flatMap((migration) => migration.statements);
    const others = [
      'CREATE DATABASE IF NOT EXISTS `a b`',
      'RENAME TABLE IF EXISTS a TO b',
      'RENAME TABLE a TO b, b TO a',
      'ALTER TABLE a REMOVE TTL',
      'ALTER TABLE `a` MODIFY SETTING non_replicated_deduplication_window = 7',
      'ALTER TABLE a MODIFY TTL at + INTERVAL 9 DAY SETTINGS materialize_ttl_after_modify = 0',
    ];
    const wrong: string[] = [];
    const at = createClickHouse({ url: stack().clickhouseUrl, database: 'default', log });
    for (const statement of [...statements, ...others]) {
      const rendered = forCluster(statement, 'two replicas');
      const [{ printed } = { printed: '' }] = await at.query<{ printed: string }>(
        `SELECT formatQuerySingleLine(${quote(rendered)}) AS printed`,
      );
      const isMoved = /^INSERT/.test(printed);
      if (isMoved !== !printed.includes('ON CLUSTER `two replicas`')) wrong.push(printed.slice(0, 200));
      if (/ENGINE = (?!Replicated)\w*MergeTree/.test(printed)) wrong.push(printed.slice(0, 200));
      if (/non_replicated_deduplication_window/.test(printed)) wrong.push(printed.slice(0, 200));
      const isWindowed = /\breplicated_deduplication_window = /.test(printed);
      if (isWindowed !== printed.includes('replicated_deduplication_window_seconds = 604800'))
        wrong.push(printed.slice(0, 200));
    }
    await at.close();
    expect(wrong).toEqual([]);
    expect(statements.length).toBeGreaterThan(40);
    expect(() => forCluster('DROP TABLE a', 'c')).toThrow('nothing says how this runs on a cluster');
  });
});

describe('deduplication windows', () => {
  it('are asserted: each target that lacks one is named', async () => {
    const client = await migrated();
    await assertDedupWindows(client);
    await client.command('ALTER TABLE messages MODIFY SETTING non_replicated_deduplication_window = 10');
    await client.command('DROP TABLE rollup_sums');
    await expect(assertDedupWindows(client)).rejects.toMatchObject({
      code: 'CLICKHOUSE_SCHEMA',
      message: expect.stringMatching(/messages needs .* >= 100000; rollup_sums does not exist/),
    });
  });
});

describe('deduplication windows of many partitions', () => {
  it('follow from their number and cadence, are widened, and asserted', async () => {
    expect([2, 12, 96].map((partitions) => neededBlocks({ partitions, gapMs: 1_050 }))).toEqual([
      100_000, 100_000, 658_286,
    ]);
    const client = await migrated();
    await expect(assertDedupWindows(client, 658_286)).rejects.toMatchObject({ code: 'CLICKHOUSE_SCHEMA' });
    await widenDedupWindows(client, 658_286);
    await assertDedupWindows(client, 658_286);
  });
});

describe('reconciliation', () => {
  it('finds every kind of violation that is put there', async () => {
    const client = await migrated();
    const all = () =>
      Promise.all(
        [doubleReceipts, doubleFacts, receiptsWithoutFacts, rollupMismatches].map(
          async (check) => (await check(client, client.database)).count,
        ),
      );
    await client.command(`INSERT INTO ingest (to_receipts, to_messages, sign, topic_id, offset, last_offset,
      message_id, tenant_id, bot_id, conversation_id, sent_at, enriched_at, outcome, receipt_outcome, latency_ms)
      SELECT 1, 1, 1, 't', number, number, 'm' || toString(number), 'a', 'b', 'c', now64(3), now64(3), 'enriched',
        'enriched', number FROM numbers(100)`);
    expect(await all()).toEqual([0, 0, 0, 0]);
    await client.command(
      "INSERT INTO receipts (topic_id, offset, last_offset, outcome, enriched_at) VALUES ('t', 5, 5, 'duplicate', now64(3))",
    );
    await client.command(
      "INSERT INTO receipts (topic_id, offset, last_offset, outcome, enriched_at) VALUES ('t', 98, 120, 'gap', now64(3))",
    );
    expect((await all())[0]).toBe(3);
    await client.command(`INSERT INTO messages (message_id, tenant_id, bot_id, conversation_id, sent_at, outcome)
      VALUES ('m7', 'a', 'b', 'c', now64(3) - INTERVAL 3 HOUR, 'enriched')`);
    const [, facts, , rollups] = await all();
    expect(facts).toBe(1);
    // The fact is missing in the sums and the conversations, by minute and by hour.
    expect(rollups).toBe(4);
    await client.command(
      "INSERT INTO receipts (topic_id, offset, last_offset, outcome, message_id, enriched_at) VALUES ('t', 500, 500, 'enriched', 'nobody', now64(3))",
    );
    expect((await all())[2]).toBe(1);
    // An id is unique within its conversation alone: the row of a namesake does not stand in for a lost one.
    await client.command(`INSERT INTO ingest (to_receipts, to_messages, sign, topic_id, offset, last_offset,
      message_id, tenant_id, bot_id, conversation_id, sent_at, enriched_at, outcome, receipt_outcome, latency_ms)
      SELECT 1, 1, 1, 't', 600, 600, 'm8', 'a', 'b', 'another', now64(3), now64(3), 'enriched', 'enriched', 1`);
    expect((await all())[2]).toBe(1);
    await client.command("DELETE FROM messages WHERE conversation_id = 'another'");
    expect((await all())[2]).toBe(2);
    // What an importer brought in just now was said long ago.
    await client.command(`INSERT INTO ingest (to_receipts, to_messages, sign, topic_id, offset, last_offset,
      message_id, tenant_id, bot_id, conversation_id, sent_at, enriched_at, outcome, receipt_outcome, latency_ms)
      SELECT 1, 1, 1, 't', 700, 700, 'm9', 'a', 'b', 'c', now64(3) - INTERVAL 400 DAY, now64(3), 'enriched', 'enriched', 1`);
    const since = epochMs(Date.now() - 600_000);
    expect((await receiptsWithoutFacts(client, client.database, { since })).count).toBe(2);
  });
});
