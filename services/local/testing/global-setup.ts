import { primeJava } from './prime-java.ts';
import { startTestStack, type TestStack } from './test-stack.ts';

declare global {
  // Jest gives setup and teardown no other way to hand something on.
  var parleyTestStack: TestStack | undefined;
}

/** Jest's project `stack`: starts the shared parts once, unless `PARLEY_TEST_STACK` names running ones. */
export default async function globalSetup(): Promise<void> {
  if (process.env['PARLEY_TEST_STACK']) return;
  const started = performance.now();
  const report = (line: string) => process.stderr.write(`${line}\n`);
  await primeJava(report);
  const stack = await startTestStack(report);
  globalThis.parleyTestStack = stack;
  process.env['PARLEY_TEST_STACK'] = stack.file;
  process.stderr.write(`Test stack ready in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}
