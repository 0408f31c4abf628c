#!/usr/bin/env node
import { Command } from 'commander';
import { integerOption, numberOption } from '../../services/operator/option-readers.ts';
import { progress, runCommand } from '../kit/run-command.ts';
import type { Bench } from './bench.ts';
import { type ConnectionsOptions, holdConnections } from './connections.ts';
import { type CostOptions, measureCost } from './cost.ts';
import { type LatencyOptions, latencyAtHalfRate } from './latency.ts';
import { runOnStack } from './run-on-stack.ts';
import { type StormOptions, storm } from './storm.ts';

const run = (benchmark: (bench: Bench) => Promise<{ ok: boolean }>): Promise<void> =>
  runOnStack(benchmark, program.opts());

const program = new Command('load gateway')
  .description(
    'Benchmarks of the gateway; one JSON document on stdout, progress on stderr. Exit code 1: a bound is missed.',
  )
  .option('--json', 'on one line')
  .exitOverride();

program
  .command('cost')
  .description('CPU a message, gateway and baseline in turn')
  .option('--sockets <n>', 'connections', integerOption(1, 20_000), 1_000)
  .option('--rate <n>', 'messages a second', numberOption(1, 100_000), 3_000)
  .option('--seconds <n>', 'length of a round', integerOption(1, 3_600), 10)
  .option('--rounds <n>', 'rounds of each', integerOption(1, 100), 3)
  .option('--workers <n>', 'processes of each', integerOption(1, 64), 1)
  .action((options: CostOptions) =>
    run(async (bench) => {
      const report = await measureCost(bench, options, progress);
      return { ok: report.ratio <= 1.2, ...report };
    }),
  );

program
  .command('connections')
  .description('holds connections with pings; memory of each, and whether one is lost')
  .option('--connections <n>', 'connections', integerOption(1, 1_000_000), 50_000)
  .option('--minutes <n>', 'how long they are held', numberOption(0, 1_440), 10)
  .option('--rate <n>', 'messages a second meanwhile', numberOption(0, 100_000), 200)
  .option('--workers <n>', 'processes of the gateway', integerOption(1, 64), 4)
  .option('--clients <n>', 'client processes, each with a source address of its own', integerOption(1, 64), 4)
  .option('--baseline', 'the baseline in place of the gateway')
  .action((options: ConnectionsOptions) => run((bench) => holdConnections(bench, options, progress)));

program
  .command('latency')
  .description('the highest rate, and the latency of acks at half of it')
  .option('--sockets <n>', 'connections', integerOption(1, 20_000), 1_000)
  .option('--outstanding <n>', 'messages on their way while the highest rate is sought', integerOption(1, 100_000), 800)
  .option('--seconds <n>', 'length of each part', integerOption(1, 3_600), 10)
  .option('--workers <n>', 'processes of the gateway', integerOption(1, 64), 2)
  .action((options: LatencyOptions) => run((bench) => latencyAtHalfRate(bench, options, progress)));

program
  .command('storm')
  .description('all bots vanish at once and come back')
  .option('--connections <n>', 'connections', integerOption(1, 1_000_000), 50_000)
  .option('--rate <n>', 'messages a second before and after', numberOption(1, 100_000), 500)
  .option('--workers <n>', 'processes of the gateway', integerOption(1, 64), 4)
  .option('--clients <n>', 'client processes, each with a source address of its own', integerOption(1, 64), 4)
  .action((options: StormOptions) => run((bench) => storm(bench, options, progress)));

await runCommand(program);
