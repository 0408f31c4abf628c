#!/usr/bin/env node
import { ERRORS, isParleyError, messageOf } from '../../services/core/errors.ts';
import { interruptSignal, progress, runCommand } from '../kit/run-command.ts';
import { loadCommand } from './options.ts';
import { describeLoad } from './report.ts';
import { runLoad } from './run.ts';

const signal = interruptSignal();

const command = loadCommand(async (options) => {
  // The sum of all bounds, with two minutes for connecting and counting: a run that hangs ends too.
  const bound = setTimeout(
    () => {
      progress('The run did not end within its bounds.');
      process.exit(1);
    },
    options.seconds * 1_000 + options.wait + 120_000,
  );
  const report = await runLoad(options, { env: process.env, progress, signal });
  clearTimeout(bound);
  process.stdout.write(`${options.json ? JSON.stringify(report) : describeLoad(report)}\n`);
  process.exitCode = report.ok ? 0 : 1;
});

await runCommand(command, (error) => {
  const code = isParleyError(error) ? error.code : undefined;
  const found = { code: code ?? 'UNEXPECTED', message: messageOf(error), remedy: code && ERRORS[code].remedy };
  progress(`load: ${found.code}: ${found.message} ${found.remedy ?? ''}`);
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: found })}\n`);
  return code === 'CONFIG_INVALID' ? 2 : 1;
});
