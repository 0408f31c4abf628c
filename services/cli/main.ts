#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
import { runCli } from './program.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The second one ends the process: commands get one chance to finish what they have begun.
  process.once(signal, () => interrupt.abort());
}
// A reader that went away (`parley topics | head -1`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

/** On stderr, so that stdout stays one document. */
async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // A terminal in raw mode gives Ctrl-C to readline alone; no signal comes.
  terminal.once('SIGINT', () => interrupt.abort());
  try {
    return /^y(es)?$/i.test(await terminal.question(`${question} [y/N] `, { signal: interrupt.signal }));
  } catch {
    // Interrupted: nothing was agreed to.
    return false;
  } finally {
    terminal.close();
  }
}
const hasTerminal = process.stdin.isTTY && process.stderr.isTTY;

async function* lines(): AsyncGenerator<string> {
  const { signal } = interrupt;
  const reader = createInterface({ input: process.stdin, ...(hasTerminal && { output: process.stderr }), signal });
  reader.once('SIGINT', () => interrupt.abort());
  reader.setPrompt('> ');
  if (hasTerminal) reader.prompt();
  for await (const line of reader) {
    yield line;
    if (hasTerminal) reader.prompt();
  }
}

const exitCode = await runCli(
  process.argv.slice(2),
  {
    env: process.env,
    signal: interrupt.signal,
    lines,
    stdin: () => process.stdin as AsyncIterable<Buffer>,
    ...(hasTerminal && { confirm }),
  },
  { out: (text) => process.stdout.write(text), err: (text) => process.stderr.write(text) },
);
// Not by an empty event loop: a client that is still trying to reach a cluster that is away would hold it open.
process.stdout.write('', () => process.exit(exitCode));
