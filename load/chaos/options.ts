import { Command } from 'commander';
import { type DurationMs, durationMs } from '../../services/core/brands.ts';
import { durationOption, integerOption, numberOption } from '../../services/platform/operator/option-readers.ts';

export interface ChaosCommandOptions {
  readonly seed: number;
  readonly events: number;
  readonly gap: DurationMs;
  readonly rate: number;
  readonly bots: number;
  readonly keep?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const DESCRIPTION = `Kills, freezes and restarts every part of a system of its own under steady traffic, by a schedule that the seed fixes,
and checks that no acked message is lost and none counted twice. Exits 1 on a violation.`;

const MAX_SEED = 2 ** 32 - 1;

export function chaosCommand(run: (options: ChaosCommandOptions) => Promise<void>): Command {
  const command = new Command('chaos')
    .description(DESCRIPTION)
    .option('--seed <n>', 'fixes the schedule and the texts (default: a random one)', integerOption(0, MAX_SEED))
    .option('--events <n>', 'faults', integerOption(1, 10_000), 40)
    .option('--gap <duration>', 'mean time from one to the next', durationOption, durationMs(3_000))
    .option('--rate <n>', 'messages a second over all bots', numberOption(1, 10_000), 50)
    .option('--bots <n>', 'connections', integerOption(1, 1_000), 20)
    .option('--keep', 'keep the data folder with all logs, as after a violation')
    .option('--dry-run', 'print the schedule and do nothing')
    .option('--json', 'print one JSON document on stdout')
    .showHelpAfterError('(npm run chaos -- --help shows what is allowed)')
    .exitOverride();
  return command.action(() => {
    const { seed = Math.floor(Math.random() * MAX_SEED), ...rest } = command.opts<ChaosCommandOptions>();
    return run({ ...rest, seed });
  });
}
