import { Command, InvalidArgumentError } from 'commander';
import { type DurationMs, durationMs } from '../../services/core/brands.ts';
import { durationOption, integerOption, numberOption } from '../../services/operator/option-readers.ts';
import { demoChats, fileChats, type Turn } from '../kit/chats.ts';
import { isScenario, SCENARIOS, type ScenarioName } from './scenarios/all.ts';
import { SYSTEMS, type SystemName } from './system-under-test.ts';

export interface BenchOptions {
  readonly messages: number;
  readonly rate: number | 'preloaded';
  readonly system: readonly SystemName[];
  readonly batch?: 'auto' | 'on' | 'off';
  readonly env: Readonly<Record<string, string>>;
  readonly runs: number;
  readonly limit: DurationMs;
  readonly seed: number;
  readonly data?: string;
  readonly profile?: string;
  readonly loopDelay?: boolean;
  readonly kill?: boolean;
  readonly soak?: DurationMs;
  readonly scenario?: ScenarioName;
  readonly json?: boolean;
}

const DESCRIPTION = `Measures the enrichment loop on this machine: CPU a message, throughput, memory, added latency and calls to the API, of
the enricher (parley), of the leanest loop without guards (baseline) and of the loop as it is first written (naive), in
turns, against an API that takes 150 to 250 ms. Brings up a broker and a registry of its own, or uses the stack that
PARLEY_TEST_STACK names. Linux alone: it reads /proc. Exits 1 when a message has no outcome.
--kill, --soak and --scenario each do something else with the enricher alone, and exit 1 unless all bounds are kept.`;

function systemsOption(value: string): readonly SystemName[] {
  const names = value.split(',');
  if (!names.every((name): name is SystemName => (SYSTEMS as readonly string[]).includes(name))) {
    throw new InvalidArgumentError(`Allowed is a list out of ${SYSTEMS.join(', ')}.`);
  }
  return names;
}

const rateOption = (value: string): number | 'preloaded' =>
  value === 'preloaded' ? value : numberOption(1, 100_000)(value);

function batchOption(value: string): 'auto' | 'on' | 'off' {
  if (value !== 'auto' && value !== 'on' && value !== 'off') throw new InvalidArgumentError('Allowed: auto, on, off.');
  return value;
}

function scenarioOption(value: string): ScenarioName {
  if (!isScenario(value)) throw new InvalidArgumentError(`Allowed is one of ${Object.keys(SCENARIOS).join(', ')}.`);
  return value;
}

function envOption(value: string, earlier: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = value.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Allowed is NAME=VALUE.');
  return { ...earlier, [value.slice(0, at)]: value.slice(at + 1) };
}

/** Where the texts come from. */
export const chatsOf = async ({
  data,
  seed,
}: Pick<BenchOptions, 'data' | 'seed'>): Promise<Iterator<readonly Turn[], void>> =>
  data === undefined ? demoChats(seed) : fileChats(data);

export function benchCommand(run: (options: BenchOptions) => Promise<void>): Command {
  const command = new Command('bench:enricher')
    .description(DESCRIPTION)
    .option('--messages <n>', 'messages a run', integerOption(1, 10_000_000), 60_000)
    .option('--rate <n>', 'messages a second; preloaded: all are there before it starts', rateOption, 'preloaded')
    .option('--system <list>', `out of ${SYSTEMS.join(', ')}`, systemsOption, ['baseline', 'parley'])
    .option('--batch <mode>', "the enricher's NLP_BATCH: auto, on, off (default: its own)", batchOption)
    .option('--env <NAME=VALUE>', 'a variable of the systems; may be given several times', envOption, {})
    .option('--runs <n>', 'of each system', integerOption(1, 100), 3)
    .option('--limit <duration>', 'a run ends after this, whatever is left', durationOption, durationMs(180_000))
    .option('--seed <n>', 'of texts and delays', integerOption(0, 2 ** 32 - 1), 1)
    .option('--data <file>', 'texts from a JSON Lines file instead of made-up ones')
    .option('--profile <dir>', 'one run each with a CPU profile, put there, its top told')
    .option('--loop-delay', 'tell how late the event loop of the systems was, too')
    .option('--kill', 'kill -9 the enricher at full speed and start another: what is repeated, how long until it works')
    .option('--soak <duration>', 'the enricher at full speed for so long: is its memory flat?', durationOption)
    .option('--scenario <name>', `one of ${Object.keys(SCENARIOS).join(', ')}`, scenarioOption)
    .option('--json', 'print one JSON document on stdout')
    .showHelpAfterError('(npm run bench:enricher -- --help shows what is allowed)')
    .exitOverride();
  return command.action(() => run(command.opts<BenchOptions>()));
}
