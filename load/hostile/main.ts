#!/usr/bin/env node
import { Command, Option } from 'commander';
import { integerOption, numberOption } from '../../services/operator/option-readers.ts';
import { runOnStack } from '../gateway/run-on-stack.ts';
import { progress, runCommand } from '../kit/run-command.ts';
import { ATTACK_KINDS } from './attack-plan.ts';
import { type HostileOptions, hostileRun } from './hostile.ts';

interface Options extends HostileOptions {
  readonly json?: true;
}

const program = new Command('load hostile')
  .description(
    'Honest bots at a steady rate, alone and, in turns, beside half-open connections, refused ones that never close, junk tokens, readers that never read and frames that are refused; SIGTERM at the end. Exit code 1: the p99 of the honest acks more than doubled, one was lost, memory grew, or the gateway did not end within its bound.',
  )
  .option('--bots <n>', 'honest bots, one connection each', integerOption(1, 10_000), 1_000)
  .option('--rate <n>', 'their messages a second', numberOption(1, 20_000), 500)
  .option('--seconds <n>', 'length of the hostile run', integerOption(8, 86_400), 60)
  .option('--calm <n>', 'length of the calm runs in between, together', integerOption(2, 3_600), 60)
  .option('--peers <n>', 'hostile peers at any time, of all kinds together', integerOption(5, 10_000), 300)
  .addOption(new Option('--only <kind>', 'hostile peers of this kind alone').choices(ATTACK_KINDS))
  .option('--json', 'on one line')
  .exitOverride()
  .action((options: Options) => runOnStack((bench) => hostileRun(bench, options, { progress }), options));

await runCommand(program);
