import { setMaxListeners } from 'node:events';
import { Command } from 'commander';
import { durationMs } from '../../services/core/brands.ts';
import { durationOption, integerOption } from '../../services/operator/option-readers.ts';
import { formatTable } from '../../services/operator/text-table.ts';
import { ApiProcess } from '../enricher/api-process.ts';
import type { LoopDelay, RunFigures } from '../enricher/run-figures.ts';
import { runOnce } from '../enricher/run-once.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { demoChats } from '../kit/chats.ts';
import { median } from '../kit/percentiles.ts';
import { interruptSignal, progress, runCommand } from '../kit/run-command.ts';
import { besideIdleLoop } from './idle-loop.ts';

interface Options {
  readonly few: number;
  readonly many: number;
  readonly messages: number;
  readonly rate?: number;
  readonly runs: number;
  readonly limit: number;
  readonly json?: boolean;
}

/** What the event loop may be late at most, p99: above that heartbeats and early answers come late. */
const MAX_LATE_MS = 50;

interface Run {
  readonly figures: RunFigures;
  readonly idle: LoopDelay;
}

const signal = interruptSignal();
setMaxListeners(0, signal);

const command = new Command('partitions')
  .description(
    `One enricher at full speed on few and on many partitions, in turns: how late its event loop is (p50, p99, largest, from the
first outcome on), and what a message costs. Beside it runs a process that does nothing: what its loop is late, the machine adds
to everyone's. Without --rate all messages are in the topic before it starts, so that every partition is full:
what one fetch brings is bounded over all partitions, and so is what waits. Brings up a broker and a registry of its own, or
uses the stack that PARLEY_TEST_STACK names. Exits 1 when a message has no outcome, or when a p99 is more than ${MAX_LATE_MS} ms above the idle one's.`,
  )
  .option('--few <n>', 'partitions to compare with', integerOption(1, 1_000), 12)
  .option('--many <n>', 'partitions', integerOption(1, 1_000), 96)
  .option('--messages <n>', 'messages a run', integerOption(1, 10_000_000), 60_000)
  .option(
    '--rate <n>',
    'messages a second; without it all are there before the enricher starts',
    integerOption(1, 100_000),
  )
  .option('--runs <n>', 'of each', integerOption(1, 100), 3)
  .option('--limit <duration>', 'a run ends after this, whatever is left', durationOption, durationMs(180_000))
  .option('--json', 'print one JSON document on stdout')
  .exitOverride()
  .action(run);

async function run({ few, many, messages, rate, runs, limit, json }: Options): Promise<void> {
  const stack = await benchStack(process.env['PARLEY_TEST_STACK'], progress, false);
  const api = await ApiProcess.start({ API_SEED: '1' });
  const figures = new Map<number, Run[]>([few, many].map((partitions) => [partitions, []]));
  try {
    for (let round = 1; round <= runs; round++) {
      for (const [partitions, all] of figures) {
        const paced = rate === undefined ? {} : { ratePerS: rate };
        const common = { messages, env: {}, chats: demoChats(round), limitMs: limit, probeLoop: true, partitions };
        const { result, idle } = await besideIdleLoop(() =>
          runOnce('parley', { ...common, ...paced }, { stack, api, progress, signal }),
        );
        progress(`${partitions} partitions, run ${round} of ${runs}: ${JSON.stringify(result.loop_delay_ms)}`);
        all.push({ figures: result, idle });
      }
    }
  } finally {
    await api.stop();
    await stack.stop();
  }
  const rows = [...figures].map(([partitions, all]) => rowOf(partitions, all));
  const ok =
    rows.every(({ missing }) => missing === 0) && rows.every((row) => row.loop_p99_ms - row.idle_p99_ms <= MAX_LATE_MS);
  const table = () =>
    formatTable(
      Object.keys(rows[0] ?? {}).map((name) => name.toUpperCase().replaceAll('_', ' ')),
      rows.map((row) => Object.values(row)),
    );
  process.stdout.write(`${json ? JSON.stringify({ ok, rows }) : table()}\n`);
  process.exitCode = ok ? 0 : 1;
}

/** Medians over the runs; of what is missing, the sum. */
function rowOf(partitions: number, all: readonly Run[]) {
  const medianOf = (figure: (run: Run) => number) => Math.round(median(all.map(figure)) * 10) / 10;
  const of = (figure: (run: RunFigures) => number) => medianOf(({ figures }) => figure(figures));
  return {
    partitions,
    messages_per_s: of((each) => each.messages_per_s),
    cpu_us: of((each) => each.cpu_us_per_message),
    rss_mb: of((each) => each.max_rss_mb),
    loop_p50_ms: of((each) => each.loop_delay_ms?.p50 ?? Number.NaN),
    loop_p99_ms: of((each) => each.loop_delay_ms?.p99 ?? Number.NaN),
    loop_max_ms: of((each) => each.loop_delay_ms?.max ?? Number.NaN),
    idle_p50_ms: medianOf(({ idle }) => idle.p50),
    idle_p99_ms: medianOf(({ idle }) => idle.p99),
    missing: all.reduce((sum, { figures }) => sum + figures.missing, 0),
  };
}

await runCommand(command);
