#!/usr/bin/env node
import { writeFile } from 'node:fs/promises';
import { messageOf } from '../../services/core/errors.ts';
import { interruptSignal, progress, runCommand } from '../kit/run-command.ts';
import { markdownReport } from './markdown.ts';
import { type ChaosCommandOptions, chaosCommand } from './options.ts';
import { runOutage } from './outage.ts';
import { describeOutage } from './outage-report.ts';
import { planChaos } from './planner.ts';
import { describeChaos } from './report.ts';
import { boundMs, runChaos } from './run.ts';
import { describePlan } from './schedule-text.ts';

const context = { progress, signal: interruptSignal() };
let seed: number | undefined;

/** The seed's schedule of faults. */
async function faults({ gap: gapMs, json, dryRun, report: file, ...options }: ChaosCommandOptions): Promise<boolean> {
  const plan = planChaos({ ...options, gapMs });
  if (dryRun) {
    process.stdout.write(`${json ? JSON.stringify({ seed, plan }) : describePlan(options.seed, plan)}\n`);
    return true;
  }
  const bound = setTimeout(() => {
    progress(`Seed ${seed}: the run did not end within its bound.`);
    process.exit(1);
  }, boundMs(plan));
  const report = await runChaos({ ...options, gapMs }, context);
  clearTimeout(bound);
  if (file !== undefined) await writeFile(file, markdownReport(report));
  process.stdout.write(`${json ? JSON.stringify(report) : describeChaos(report)}\n`);
  return report.ok;
}

async function clickhouseAway({ away: awayMs, json, ...options }: ChaosCommandOptions): Promise<boolean> {
  const report = await runOutage({ ...options, awayMs }, context);
  process.stdout.write(`${json ? JSON.stringify(report) : describeOutage(report)}\n`);
  return report.ok;
}

const command = chaosCommand(async (options) => {
  seed = options.seed;
  const ok = await (options.scenario === 'faults' ? faults(options) : clickhouseAway(options));
  process.exitCode = ok ? 0 : 1;
});

await runCommand(command, (error) => {
  progress(`chaos: seed ${seed}: ${context.signal.aborted ? 'interrupted' : messageOf(error)}`);
  return 1;
});
