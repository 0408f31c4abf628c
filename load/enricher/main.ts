#!/usr/bin/env node
import { setMaxListeners } from 'node:events';
import { messageOf } from '../../services/core/errors.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { interruptSignal, progress, runCommand } from '../kit/run-command.ts';
import { ApiProcess } from './api-process.ts';
import { runMode } from './modes.ts';
import { benchCommand } from './options.ts';

const signal = interruptSignal();
setMaxListeners(0, signal);

const command = benchCommand(async (options) => {
  const stack = await benchStack(process.env['PARLEY_TEST_STACK'], progress, options.scenario === 'outage');
  try {
    const api = await ApiProcess.start({ API_SEED: String(options.seed) });
    try {
      const { report, text } = await runMode(options, { stack, api, progress, signal });
      process.stdout.write(`${options.json ? JSON.stringify(report) : text}\n`);
      process.exitCode = report.ok ? 0 : 1;
    } finally {
      await api.stop();
    }
  } finally {
    await stack.stop();
  }
});

await runCommand(command, (error) => {
  progress(`bench: ${signal.aborted ? 'interrupted' : messageOf(error)}`);
  return 1;
});
