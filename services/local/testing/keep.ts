import { startTestStack } from './test-stack.ts';

/**
 * `node services/local/testing/keep.ts` keeps a test stack running until Ctrl-C and prints the line that makes test
 * runs use it: developing goes without the start each time.
 */
const stack = await startTestStack((line) => process.stderr.write(`${line}\n`));
process.stdout.write(`export PARLEY_TEST_STACK=${stack.file}\n`);
await new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
});
await stack.stop();
