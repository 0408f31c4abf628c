import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { readConfig } from '../core/config.ts';
import { isParleyError, messageOf } from '../core/errors.ts';
import { SPEC } from './config.ts';
import { PART_NAMES, type PartName } from './plan.ts';
import { runLocal } from './start.ts';
import { logPrefixer, progressLine, readyDocument, readyText } from './terminal.ts';

interface Options {
  readonly json?: boolean;
  readonly only?: readonly PartName[];
  readonly logs?: readonly PartName[] | true;
  readonly dataDir?: string;
}

function partNames(value: string): PartName[] {
  return value.split(',').map((item) => {
    const name = PART_NAMES.find((candidate) => candidate === item.trim());
    if (!name) throw new InvalidArgumentError(`${JSON.stringify(item)} is not one of ${PART_NAMES.join(', ')}.`);
    return name;
  });
}

const variables = Object.entries(SPEC).map(([name, { doc }]) => `  ${name.padEnd(22)}${doc}`);

function parse(): Options {
  const command = new Command('npm start --')
    .description('Runs all of Parley on this machine; Ctrl-C stops it.')
    .option('--json', 'when ready, print one JSON document on stdout')
    .option('--only <names>', `start only these (${PART_NAMES.join(',')})`, partNames)
    .option('--logs [names]', 'also show the parts’ logs here, all or only these', partNames)
    .option('--data-dir <folder>', 'data folder (default: PARLEY_DATA_DIR or .parley)')
    .addHelpText('after', `\nEnvironment:\n${variables.join('\n')}`)
    .allowExcessArguments(false)
    .exitOverride();
  return command.parse().opts<Options>();
}

async function main(): Promise<number> {
  const options = parse();
  const config = readConfig(SPEC, process.env);
  const report = (line: string) => process.stderr.write(`${line}\n`);
  const showLog = logPrefixer(report);
  const shown = options.logs === true ? PART_NAMES : (options.logs ?? []);
  await runLocal({
    config,
    // A service compiles some 900 modules when it starts: from the second start on that half of its CPU time is saved.
    env: { NODE_COMPILE_CACHE: join(config.PARLEY_CACHE_DIR, 'node'), ...process.env },
    dataDir: options.dataDir ?? config.PARLEY_DATA_DIR,
    only: options.only ?? PART_NAMES,
    report,
    onEvent: (event) => {
      if (event.type === 'output') {
        if (shown.some((name) => event.part.startsWith(name))) showLog(event.part, event.chunk);
        return;
      }
      const line = progressLine(event);
      if (line !== undefined) report(line);
    },
    onReady: (ready) => {
      process.stdout.write(options.json ? readyDocument(ready) : `\n${readyText(ready)}`);
    },
  });
  return 0;
}

/** 0 after a clean stop or --help, 1 when something failed, 2 for wrong usage or configuration. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const isFull = (error as NodeJS.ErrnoException).code === 'ENOSPC';
  const text = isFull
    ? 'The disk is full: free some space or choose another folder with --data-dir.'
    : messageOf(error);
  process.stderr.write(`\n${text}\n`);
  if (!isParleyError(error)) process.stderr.write(isFull ? '' : `${(error as Error).stack}\n`);
  return isParleyError(error) && error.code === 'CONFIG_INVALID' ? 2 : 1;
}

process.exitCode = await main().catch(exitCodeOf);
