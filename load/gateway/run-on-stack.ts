import { startTestStack } from '../../services/local/testing/test-stack.ts';
import { progress } from '../kit/run-command.ts';
import { Bench } from './bench.ts';

/** Runs one benchmark on the stack of `PARLEY_TEST_STACK`, or on one of its own, prints its report and sets the exit code. */
export async function runOnStack(
  benchmark: (bench: Bench) => Promise<{ ok: boolean }>,
  { json }: { json?: boolean },
): Promise<void> {
  const own = process.env['PARLEY_TEST_STACK'] ? undefined : await startTestStack(progress, ['kafka', 'registry']);
  if (own) process.env['PARLEY_TEST_STACK'] = own.file;
  const bench = await Bench.create();
  try {
    const report = await benchmark(bench);
    process.stdout.write(`${JSON.stringify(report, null, json ? 0 : 2)}\n`);
    process.exitCode = report.ok ? 0 : 1;
  } finally {
    await bench.close();
    await own?.stop();
  }
}
