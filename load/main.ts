#!/usr/bin/env node
import { BENCHES, type Bench, describeBenches, findBench } from './benches.ts';

const HELP = `Load runs and benches.

usage: npm run load -- <bench> [options]    one of the benches below
       npm run load -- [options]            the same as npm run load -- open-loop [options]
       npm run load -- <bench> --help       what a bench measures, and its options
       npm run load -- --list [--json]      the benches, as below or as one JSON document
       npm run load -- --help               this text

Exit codes: 0 all bounds are kept; 1 a bound is missed or the run failed; 2 wrong usage.

${describeBenches()}
`;
const WRONG_USAGE = 2;

/** Runs in this process, so that signals and the exit code are the bench's own. */
async function start({ main }: Bench, args: readonly string[]): Promise<void> {
  const file = new URL(main, import.meta.url);
  process.argv.splice(1, process.argv.length, file.pathname, ...args);
  await import(file.href);
}

const [first, ...rest] = process.argv.slice(2);
const bench = findBench(first);
if (first === '--help' || first === '-h') process.stdout.write(HELP);
else if (first === '--list') {
  process.stdout.write(
    rest.includes('--json') ? `${JSON.stringify({ benches: BENCHES })}\n` : `${describeBenches()}\n`,
  );
} else if (bench) await start(bench, bench.name === first ? rest : process.argv.slice(2));
else {
  process.stderr.write(`load: ${JSON.stringify(first)} is no bench. Allowed:\n\n${describeBenches()}\n`);
  process.exitCode = WRONG_USAGE;
}
