import { resolve } from 'node:path';
import { Command } from 'commander';
import { integerOption } from '../../services/operator/option-readers.ts';
import { createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { migrate } from '../../services/platform/clickhouse/migrations.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { sampleProcess } from '../kit/proc-stat.ts';
import { runBaseline } from './baseline.ts';
import { ageAtInsert, type Rate, readStore } from './readings.ts';
import { SinkRun } from './sink-run.ts';

/** For the first 15 s compiling is a third of the sink's CPU at 1,000 messages/s. */
const WARM_UP_S = 15;
/** Merges go on after the last insert: they belong to what storing costs. */
const AFTER_MS = 5_000;

const program = new Command('store')
  .description(
    `What storing costs: ClickHouse's CPU a message, new parts a second, the sink's own CPU, and how old rows are when they
are visible. "baseline" inserts the same rows into the same tables once a second, without Kafka, tokens or any guard; "sink"
runs the sink of a checkout. Brings up Kafka, registry and ClickHouse of its own, or uses the stack that
PARLEY_TEST_STACK names. Linux alone: it reads /proc.`,
  )
  .option('--baseline', 'run the baseline instead of the sink')
  .option('--dir <checkout>', 'whose sink is run', '.')
  .option('--partitions <n>', 'of chat.enriched', integerOption(1, 100), 1)
  .option('--rate <n>', 'messages a second', integerOption(1, 20_000), 1_000)
  .option('--seconds <n>', `after ${WARM_UP_S} to warm up`, integerOption(5, 300), 20)
  .option('--admin-port <n>', 'of the sink', integerOption(1_024, 65_535), 19_482)
  .parse();
const options = program.opts<{
  baseline?: boolean;
  dir: string;
  partitions: number;
  rate: number;
  seconds: number;
  adminPort: number;
}>();

const log = createLogger('store-bench', 'silent');
const stack = await benchStack(process.env['PARLEY_TEST_STACK'], (line) => process.stderr.write(`${line}\n`), true);
const run = `store${Date.now().toString(36)}`;
const clickhouse = createClickHouse({ url: stack.clickhouseUrl, database: run, log });
const pid = stack.pids['clickhouse'] ?? 0;
const rate: Rate = { perS: options.rate, seconds: options.seconds };
const warmUp: Rate = { perS: options.rate, seconds: WARM_UP_S };
const messages = rate.perS * rate.seconds;

/** Runs `load` between two readings. */
async function measured(load: () => Promise<void>, sinkPid?: number) {
  const before = await readStore(clickhouse, pid);
  const sinkBefore = sinkPid ? sampleProcess(sinkPid).cpuMicros : 0;
  await load();
  await new Promise((done) => setTimeout(done, AFTER_MS));
  const after = await readStore(clickhouse, pid);
  return {
    clickhouse_us_a_message: Math.round((after.cpuMicros - before.cpuMicros) / messages),
    new_parts_a_second: Math.round(((after.parts - before.parts) / rate.seconds) * 10) / 10,
    ...(sinkPid && { sink_us_a_message: Math.round((sampleProcess(sinkPid).cpuMicros - sinkBefore) / messages) }),
  };
}

async function sink() {
  const setup = { stack, clickhouse, prefix: `${run}.`, adminPort: options.adminPort };
  const subject = await SinkRun.start({ ...setup, dir: resolve(options.dir), partitions: options.partitions });
  try {
    const warm = warmUp.perS * warmUp.seconds;
    await subject.produce(warmUp, 0);
    await subject.stored(warm);
    await clickhouse.command('TRUNCATE TABLE messages');
    const before = await subject.inserts();
    const figures = await measured(async () => {
      await subject.produce(rate, warm);
      await subject.stored(messages);
    }, subject.pid);
    const age = await ageAtInsert(clickhouse);
    const after = await subject.inserts();
    const insertMs = Math.round((after.tookMs - before.tookMs) / (after.count - before.count));
    return { ...figures, insert_ms: insertMs, visible_p50_ms: age.p50 + insertMs, visible_p99_ms: age.p99 + insertMs };
  } finally {
    await subject.stop();
  }
}

async function baseline() {
  await migrate(clickhouse, { log });
  await runBaseline(clickhouse, warmUp);
  return await measured(() => runBaseline(clickhouse, rate));
}

try {
  const figures = options.baseline ? await baseline() : await sink();
  const subject = options.baseline ? 'baseline' : `sink, E = ${options.partitions}`;
  process.stdout.write(`${JSON.stringify({ subject, rate: rate.perS, messages, ...figures })}\n`);
} finally {
  await clickhouse.command(`DROP DATABASE IF EXISTS ${run}`);
  await clickhouse.close();
  await stack.stop();
}
process.exit(0);
