#!/usr/bin/env node
import { CommanderError } from 'commander';
import { ERRORS, isParleyError, messageOf } from '../../services/core/errors.ts';
import { loadCommand } from './options.ts';
import { describeLoad } from './report.ts';
import { runLoad } from './run.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
const progress = (line: string) => process.stderr.write(`${line}\n`);

const command = loadCommand(async (options) => {
  // Whatever hangs: the sum of all bounds, and a minute for connecting and counting.
  const bound = setTimeout(
    () => {
      progress('The run did not end within its bounds.');
      process.exit(1);
    },
    options.seconds * 1_000 + options.wait + 120_000,
  );
  const report = await runLoad(options, { env: process.env, progress, signal: interrupt.signal });
  clearTimeout(bound);
  process.stdout.write(`${options.json ? JSON.stringify(report) : describeLoad(report)}\n`);
  process.exitCode = report.ok ? 0 : 1;
});

try {
  await command.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const code = isParleyError(error) ? error.code : undefined;
    const found = { code: code ?? 'UNEXPECTED', message: messageOf(error), remedy: code && ERRORS[code].remedy };
    progress(`load: ${found.code}: ${found.message} ${found.remedy ?? ''}`);
    if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: found })}\n`);
    process.exitCode = code === 'CONFIG_INVALID' ? 2 : 1;
  }
}
// Not by an empty event loop: a client that is still trying to reach a cluster that is away would hold it open.
process.stdout.write('', () => process.exit());
