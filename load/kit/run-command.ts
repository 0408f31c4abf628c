import { type Command, CommanderError } from 'commander';
import { messageOf } from '../../services/core/errors.ts';

/** One line on standard error; standard output is the report's. */
export const progress = (line: string): void => void process.stderr.write(`${line}\n`);

/** Aborted at SIGINT and SIGTERM. */
export function interruptSignal(): AbortSignal {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
  return interrupt.signal;
}

const sayWhy = (name: string, error: unknown): number => {
  progress(`${name}: ${messageOf(error)}`);
  return 1;
};

/**
 * Runs a bench's command line and ends the process: with 2 at wrong usage, with what `failed` returns when it throws (by
 * default 1, after the error's text), else with the exit code that the command has set. The command needs `exitOverride`.
 */
export async function runCommand(command: Command, failed?: (error: unknown) => number): Promise<void> {
  try {
    await command.parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else process.exitCode = failed ? failed(error) : sayWhy(command.name(), error);
  }
  // Not by an empty event loop: a client that still tries to reach a part that is gone would hold it open.
  process.stdout.write('', () => process.exit());
}
