import { Command, InvalidArgumentError, Option } from 'commander';
import { type DurationMs, durationMs } from '../../services/core/brands.ts';
import { durationOption, integerOption, numberOption } from '../../services/operator/option-readers.ts';
import { EVENT_KINDS, type EventKind } from './faults.ts';

export interface ChaosCommandOptions {
  readonly seed: number;
  readonly events: number;
  readonly gap: DurationMs;
  readonly rate: number;
  readonly bots: number;
  readonly brokers: number;
  readonly endMs?: number;
  readonly world?: boolean;
  readonly kinds?: readonly EventKind[];
  readonly scenario: 'faults' | 'clickhouse-away';
  readonly away: DurationMs;
  readonly report?: string;
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
    .option('--minutes <n>', 'in the place of --events: as many as fit', numberOption(0.1, 1_440))
    .option('--gap <duration>', 'mean time from one to the next', durationOption, durationMs(3_000))
    .option('--rate <n>', 'messages a second over all bots', numberOption(1, 10_000), 50)
    .option('--bots <n>', 'connections', integerOption(1, 1_000), 20)
    .addOption(new Option('--brokers <n>', 'a broker, or a cluster of three').choices(['1', '3']).default('1'))
    .addOption(
      new Option('--scenario <name>', 'the schedule of faults, or ClickHouse away for long and nothing else')
        .choices(['faults', 'clickhouse-away'])
        .default('faults'),
    )
    .option('--world', 'also what other people do to the cluster: growth, deletions, foreign batches, refusals')
    .addOption(
      new Option('--only <kinds>', 'these kinds of events alone, and poison; several with commas').argParser(kindsOf),
    )
    .option('--away <duration>', 'how long ClickHouse is away in that scenario', durationOption, durationMs(120_000))
    .option('--report <file>', 'write the report as Markdown')
    .option('--keep', 'keep the data folder with all logs, as after a violation')
    .option('--dry-run', 'print the schedule and do nothing')
    .option('--json', 'print one JSON document on stdout')
    .showHelpAfterError('(npm run chaos -- --help shows what is allowed)')
    .exitOverride();
  return command.action(() => {
    const { seed, minutes, brokers, events, only, ...rest } = command.opts<Given>();
    return run({
      ...rest,
      seed: seed ?? Math.floor(Math.random() * MAX_SEED),
      events: minutes === undefined ? events : Math.max(1, Math.round((minutes * 60_000) / rest.gap)),
      ...(minutes !== undefined && { endMs: minutes * 60_000 }),
      brokers: Number(brokers),
      ...(only && { kinds: only }),
    });
  });
}

function kindsOf(text: string): EventKind[] {
  const kinds = text.split(',').map((each) => each.trim());
  const unknown = kinds.find((kind) => !EVENT_KINDS.includes(kind as EventKind));
  if (unknown === undefined) return kinds as EventKind[];
  throw new InvalidArgumentError(`"${unknown}" is no kind of event; there are ${EVENT_KINDS.join(', ')}.`);
}

type Given = Omit<ChaosCommandOptions, 'seed' | 'brokers' | 'kinds'> & {
  readonly seed?: number;
  readonly only?: readonly EventKind[];
  readonly minutes?: number;
  readonly brokers: string;
};
