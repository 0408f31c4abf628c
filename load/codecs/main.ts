import { Command } from 'commander';
import { integerOption } from '../../services/operator/option-readers.ts';
import { formatTable } from '../../services/operator/text-table.ts';
import { createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { migrate } from '../../services/platform/clickhouse/migrations.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { sampleProcess } from '../kit/proc-stat.ts';
import { CANDIDATES, type Candidate } from './candidates.ts';
import { storeFacts } from './facts.ts';

const program = new Command('codecs')
  .description(
    `What codecs cost and save: loads generated facts and receipts into copies of their tables, each with other codecs for some
columns, and prints bytes a row on disk, ClickHouse's CPU to insert and merge them, and to read every column. Each round goes
through all candidates in turn; figures are the median. Linux alone: it reads /proc. Brings up ClickHouse of its own, or uses
the stack that PARLEY_TEST_STACK names.`,
  )
  .option('--facts <n>', 'how many', integerOption(1_000, 50_000_000), 300_000)
  .option('--rounds <n>', 'how often each', integerOption(1, 20), 3)
  .option('--columns', 'bytes a row of each column of the tables as they are, too')
  .option('--json', 'print one JSON document')
  .parse();
const options = program.opts<{ facts: number; rounds: number; columns?: boolean; json?: boolean }>();

const report = (line: string) => process.stderr.write(`${line}\n`);
const log = createLogger('codecs-bench', 'silent');
const stack = await benchStack(process.env['PARLEY_TEST_STACK'], report, true);
const database = `codecs${Date.now().toString(36)}`;
const clickhouse = createClickHouse({ url: stack.clickhouseUrl, database, log, requestTimeoutMs: 600_000 });
const pid = stack.pids['clickhouse'] ?? 0;

async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = sampleProcess(pid).cpuMicros;
  await work();
  return (sampleProcess(pid).cpuMicros - before) / 1_000;
}

interface Reading {
  readonly bytes: number;
  readonly storeMs: number;
  readonly readMs: number;
}

/** One copy of a table, in ten inserts and one merge, read as a whole and dropped. */
async function tryOnce({ table, codecs }: Candidate): Promise<Reading> {
  await clickhouse.command(`CREATE TABLE copy AS ${table}`);
  try {
    for (const [column, codec] of Object.entries(codecs)) {
      await clickhouse.command(`ALTER TABLE copy MODIFY COLUMN ${column} CODEC(${codec})`);
    }
    const storeMs = await cpuMs(async () => {
      for (let part = 0; part < 10; part++) {
        await clickhouse.command(`INSERT INTO copy SELECT * FROM ${table} WHERE cityHash64(message_id) % 10 = ${part}`);
      }
      await clickhouse.command('OPTIMIZE TABLE copy FINAL');
    });
    const readMs = await cpuMs(() => clickhouse.command('SELECT count() FROM copy WHERE NOT ignore(*)'));
    const [found] = await clickhouse.query<{ bytes: number }>(
      "SELECT sum(data_compressed_bytes) AS bytes FROM system.parts WHERE active AND database = currentDatabase() AND table = 'copy'",
    );
    return { bytes: Number(found?.bytes), storeMs, readMs };
  } finally {
    await clickhouse.command('DROP TABLE copy SYNC');
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number): number => Math.round(value * 10) / 10;

async function columns() {
  for (const table of ['messages', 'receipts']) await clickhouse.command(`OPTIMIZE TABLE ${table} FINAL`);
  return await clickhouse.query<{ table: string; column: string; bytes: number }>(
    `SELECT table, column, round(sum(column_data_compressed_bytes) / sum(rows), 2) AS bytes FROM system.parts_columns
     WHERE active AND database = currentDatabase() AND table IN ('messages', 'receipts') GROUP BY table, column ORDER BY table, bytes DESC`,
  );
}

try {
  await migrate(clickhouse, { log });
  report(`storing ${options.facts.toLocaleString('en')} facts`);
  await storeFacts(clickhouse, options.facts);
  const readings = new Map<Candidate, Reading[]>(CANDIDATES.map((candidate) => [candidate, []]));
  for (let turn = 1; turn <= options.rounds; turn++) {
    for (const [candidate, found] of readings) {
      report(`round ${turn}: ${candidate.table}, ${candidate.name}`);
      found.push(await tryOnce(candidate));
    }
  }
  const candidates = [...readings].map(([{ table, name }, found]) => ({
    table,
    name,
    bytes_a_row: round(median(found.map(({ bytes }) => bytes)) / options.facts),
    store_us_a_row: round((median(found.map(({ storeMs }) => storeMs)) * 1_000) / options.facts),
    read_us_a_row: round((median(found.map(({ readMs }) => readMs)) * 1_000) / options.facts),
  }));
  const document = {
    facts: options.facts,
    rounds: options.rounds,
    candidates,
    ...(options.columns && { columns: await columns() }),
  };
  const header = ['TABLE', 'CODECS', 'BYTES A ROW', 'STORE (µs CPU)', 'READ (µs CPU)'];
  const lines = candidates.map((c) => [c.table, c.name, c.bytes_a_row, c.store_us_a_row, c.read_us_a_row]);
  const byColumn = (document.columns ?? []).map((c) => [c.table, c.column, c.bytes]);
  const text = [
    formatTable(header, lines),
    ...(byColumn.length > 0 ? ['', formatTable(['TABLE', 'COLUMN', 'BYTES A ROW'], byColumn)] : []),
  ];
  process.stdout.write(`${options.json ? JSON.stringify(document) : text.join('\n')}\n`);
} finally {
  await clickhouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`);
  await clickhouse.close();
  await stack.stop();
}
process.exit(0);
