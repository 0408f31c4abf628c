import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { neededBlocks, widenDedupWindows } from '../platform/clickhouse/dedup-windows.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { createLogger } from '../platform/logger.ts';
import {
  type EndpointProcess,
  removeFolder,
  startEndpointProcess,
  temporaryFolder,
} from './testing/endpoint-process.ts';

const started: EndpointProcess[] = [];

async function start(folder: string): Promise<EndpointProcess> {
  const endpoint = await startEndpointProcess(folder);
  started.push(endpoint);
  return endpoint;
}

afterEach(async () => {
  for (const endpoint of started.splice(0)) await endpoint.end('SIGKILL');
});

describe('durability', () => {
  it('finds every acked row once after kill -9 in the middle of inserts', async () => {
    const folder = temporaryFolder();
    let process = await start(folder);
    const post = (url: string, sql: string, body: string, token?: string) => {
      const params = new URLSearchParams({ query: sql, ...(token && { insert_deduplication_token: token }) });
      return fetch(`${url}/?${params}`, { method: 'POST', body }).then(async (response) => {
        const text = await response.text();
        if (response.status !== 200) throw new Error(text);
        return text;
      });
    };
    await post(
      process.url,
      `CREATE TABLE log (block UInt32, row UInt32) ENGINE = MergeTree ORDER BY (block, row)
        SETTINGS non_replicated_deduplication_window = 10000`,
      '',
    );
    const acked = new Set<number>();
    const tried = new Set<number>();
    const insert = async (url: string, block: number) => {
      tried.add(block);
      const rows = Array.from({ length: 200 }, (_, row) => `${block}\t${row}`).join('\n');
      await post(url, 'INSERT INTO log FORMAT TSV', rows, `block-${block}`);
      acked.add(block);
    };
    let next = 0;
    for (let round = 0; round < 3; round += 1) {
      const goal = acked.size + 25;
      const { url } = process;
      let killed = false;
      const writers = Array.from({ length: 3 }, async () => {
        while (!killed) {
          const block = next++;
          await insert(url, block).catch(() => undefined);
          if (acked.size >= goal) killed = true;
        }
      });
      await eventually(() => expect(acked.size).toBeGreaterThanOrEqual(goal));
      await process.end('SIGKILL');
      await Promise.all(writers);
      process = await start(folder);
      const query =
        'SELECT groupArray(block) FROM (SELECT block FROM log GROUP BY block HAVING count() = 200) FORMAT JSONCompactEachRow';
      const present = new Set((JSON.parse(await post(process.url, query, '')) as [number[]])[0]);
      expect([...acked].filter((block) => !present.has(block))).toEqual([]);
    }
    // A retry of everything with its token changes nothing that was there and adds what was not.
    for (const block of tried) await insert(process.url, block);
    const [total, distinct] = (await post(process.url, 'SELECT count(), uniqExact(block, row) FROM log', ''))
      .trim()
      .split('\t');
    expect([total, distinct]).toEqual([String(tried.size * 200), String(tried.size * 200)]);
    expect(await process.end('SIGTERM')).toBe(0);
    removeFolder(folder);
  });
});

const MIGRATIONS = fileURLToPath(new URL('../../schemas/clickhouse/', import.meta.url));
const log = createLogger('test', 'silent');

/** One block of 20 rows as the sink of any version inserts it: the columns are those of the first. */
const insertBlock = (client: ClickHouse, token: string, at: number) =>
  client.insert({
    table: 'ingest',
    columns: ['to_receipts', 'to_messages', 'sign', 'offset', 'last_offset', 'message_id', 'sent_at', 'enriched_at'],
    rows: Array.from({ length: 20 }, (_, row) => [1, 1, 1, row, row, `${token}-${row}`, at, at]),
    settings: { insert_deduplication_token: token, deduplicate_blocks_in_dependent_materialized_views: 1 },
  });

const storedRows = (client: ClickHouse) =>
  client.query(`SELECT (SELECT count() FROM receipts) AS receipts, (SELECT count() FROM messages) AS messages,
    (SELECT sum(messages) FROM rollup_sums) + (SELECT sum(messages) FROM bot_minute_sums) AS counted`);

describe('a block that is inserted again', () => {
  it('changes nothing on the other side of a migration, of a wider window or of a restart', async () => {
    const now = Date.now();
    const folder = temporaryFolder();
    const first = join(folder, 'first');
    mkdirSync(first);
    for (const name of readdirSync(MIGRATIONS)) if (name < '0005') cpSync(join(MIGRATIONS, name), join(first, name));
    const data = join(folder, 'data');
    let process = await start(data);
    const connect = () => createClickHouse({ url: process.url, database: 'parley', log });
    let client = connect();
    await migrate(client, { log, folder: first });
    await client.command('SYSTEM STOP MERGES');
    await insertBlock(client, 'before', now);
    await migrate(client, { log });
    await insertBlock(client, 'before', now);
    await insertBlock(client, 'after', now);
    await widenDedupWindows(client, neededBlocks({ partitions: 96, gapMs: 1_050 }));
    for (const token of ['before', 'after']) await insertBlock(client, token, now);
    const once = await storedRows(client);
    await client.close();
    await process.end('SIGKILL');
    process = await start(data);
    client = connect();
    await client.command('SYSTEM STOP MERGES');
    for (const token of ['before', 'after']) await insertBlock(client, token, now);
    expect(await storedRows(client)).toEqual(once);
    expect(once).toMatchObject([{ receipts: 40, messages: 40 }]);
    await client.close();
    await process.end('SIGTERM');
    removeFolder(folder);
  });
});
