#!/usr/bin/env node
import { Command, InvalidArgumentError } from 'commander';
import { fuzz } from '../testing/fuzz.ts';

const REPORT_EVERY = 20_000;

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('Allowed is a whole number of up to nine digits.');
  return Number(value);
}

const program = new Command('fuzz:clickhouse')
  .description(
    `Sends disguised statements (comments, quotes, heredocs, case, unicode, settings) as an analyst to a ClickHouse endpoint of
its own, and looks for what none may do: read a file outside of the data folder, write one, end the process or leave a
request without an answer. A million take about an hour of one core. Exit codes: 0 nothing found; 1 the statements that
broke out are printed; 2 wrong usage.`,
  )
  .option('--statements <n>', 'how many', wholeNumber, 1_000_000)
  .option('--seed <n>', 'repeats a run', wholeNumber, Date.now() % 1e9)
  .option('--json', 'print one document alone')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();
const { statements, seed, json } = program.opts<{ statements: number; seed: number; json?: boolean }>();
const say = (line: string) => process.stderr.write(`${line}\n`);

say(`${statements} statements as analyst, seed ${seed}`);
const { byStatus, breaches } = await fuzz({
  statements,
  seed,
  user: 'analyst',
  onProgress: (done, statuses) => {
    if (done % REPORT_EVERY === 0) say(`${done} ${JSON.stringify(statuses)}`);
  },
});
const result = { statements, seed, by_status: byStatus, breaches };
process.stdout.write(
  json
    ? `${JSON.stringify(result)}\n`
    : `${breaches.map((breach) => `${JSON.stringify(breach)}\n`).join('')}${breaches.length === 0 ? 'Nothing broke out.' : `${breaches.length} broke out.`}\n`,
);
process.exitCode = breaches.length === 0 ? 0 : 1;
