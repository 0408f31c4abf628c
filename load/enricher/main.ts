#!/usr/bin/env node
import { setMaxListeners } from 'node:events';
import { CommanderError } from 'commander';
import { messageOf } from '../../services/core/errors.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { ApiProcess } from './api-process.ts';
import { runMode } from './modes.ts';
import { benchCommand } from './options.ts';

const interrupt = new AbortController();
setMaxListeners(0, interrupt.signal);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
const progress = (line: string) => process.stderr.write(`${line}\n`);

const command = benchCommand(async (options) => {
  const stack = await benchStack(process.env['PARLEY_TEST_STACK'], progress, options.scenario === 'outage');
  try {
    const api = await ApiProcess.start({ API_SEED: String(options.seed) });
    try {
      const { report, text } = await runMode(options, { stack, api, progress, signal: interrupt.signal });
      process.stdout.write(`${options.json ? JSON.stringify(report) : text}\n`);
      process.exitCode = report.ok ? 0 : 1;
    } finally {
      await api.stop();
    }
  } finally {
    await stack.stop();
  }
});

try {
  await command.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    progress(`bench: ${interrupt.signal.aborted ? 'interrupted' : messageOf(error)}`);
    process.exitCode = 1;
  }
}
// Not by an empty event loop: a client that is still trying to reach a part that is gone would hold it open.
process.stdout.write('', () => process.exit());
