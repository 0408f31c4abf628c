import { Command, InvalidArgumentError } from 'commander';
import type { DurationMs } from '../../services/core/brands.ts';
import { durationMs } from '../../services/core/brands.ts';
import { durationOption, integerOption, numberOption } from '../../services/operator/option-readers.ts';
import type { ArrivalProcess } from './arrivals.ts';

export interface LoadOptions {
  readonly bots: number;
  readonly tenants: number;
  readonly rate: number;
  readonly seconds: number;
  readonly warmup: number;
  readonly arrivals: ArrivalProcess;
  readonly file?: string;
  readonly seed: number;
  readonly url?: string;
  readonly wait: DurationMs;
  readonly json?: boolean;
}

const arrivalOption = (value: string): ArrivalProcess => {
  if (value !== 'poisson' && value !== 'constant') throw new InvalidArgumentError('Allowed are poisson and constant.');
  return value;
};

const DESCRIPTION = `A steady open-loop run against the stack on this machine: messages go out by a schedule, whatever the answers do, and
latency counts from the moment a message was meant to go. Ends with parley verify and exits by it.`;

export function loadCommand(run: (options: LoadOptions) => Promise<void>): Command {
  const command = new Command('load open-loop')
    .description(DESCRIPTION)
    .option('--bots <n>', 'connections', integerOption(1, 15_000), 500)
    .option('--tenants <n>', 'tenants they belong to', integerOption(1, 15_000), 10)
    .option('--rate <n>', 'messages a second over all bots', numberOption(0.1, 100_000), 500)
    .option('--seconds <n>', 'length of the run', integerOption(1, 86_400), 60)
    .option('--warmup <n>', 'seconds at the beginning that are not measured', integerOption(0, 3_600), 5)
    .option('--arrivals <process>', 'poisson or constant', arrivalOption, 'poisson')
    .option('--file <file>', 'texts from a file of chats (docs/files.md) instead of the demo generator')
    .option('--seed <n>', 'seed of arrivals and texts', integerOption(0, 2 ** 32 - 1), 1)
    .option('--url <url>', 'the gateway (default: the running one)')
    .option('--wait <duration>', 'how long verify waits for what is in flight', durationOption, durationMs(120_000))
    .option('--json', 'print one JSON document on stdout')
    .showHelpAfterError('(npm run load -- open-loop --help shows what is allowed)')
    .exitOverride();
  return command.action(() => run(command.opts<LoadOptions>()));
}
