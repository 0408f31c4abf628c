#!/usr/bin/env node
import { CommanderError } from 'commander';
import { messageOf } from '../../services/core/errors.ts';
import { chaosCommand } from './options.ts';
import { planChaos } from './plan.ts';
import { describePlan } from './plan-table.ts';
import { describeChaos } from './report.ts';
import { boundMs, runChaos } from './run.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
const progress = (line: string) => process.stderr.write(`${line}\n`);
let seed: number | undefined;

const command = chaosCommand(async ({ gap: gapMs, json, dryRun, ...options }) => {
  seed = options.seed;
  const plan = planChaos({ ...options, gapMs });
  if (dryRun) {
    process.stdout.write(`${json ? JSON.stringify({ seed, plan }) : describePlan(seed, plan)}\n`);
    return;
  }
  const bound = setTimeout(() => {
    progress(`Seed ${seed}: the run did not end within its bound.`);
    process.exit(1);
  }, boundMs(plan));
  const report = await runChaos({ ...options, gapMs }, { progress, signal: interrupt.signal });
  clearTimeout(bound);
  process.stdout.write(`${json ? JSON.stringify(report) : describeChaos(report)}\n`);
  process.exitCode = report.ok ? 0 : 1;
});

try {
  await command.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const why = interrupt.signal.aborted ? 'interrupted' : messageOf(error);
    progress(`chaos: seed ${seed}: ${why}`);
    process.exitCode = 1;
  }
}
// Not by an empty event loop: a client that is still trying to reach a part that is gone would hold it open.
process.stdout.write('', () => process.exit());
