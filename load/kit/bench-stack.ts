import { readFileSync } from 'node:fs';
import { type RunningStack, startTestStack } from '../../services/local/testing/test-stack.ts';

export interface BenchStack {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  /** Of a run that was asked for with it, or of the running stack. */
  readonly clickhouseUrl: string;
  /** Processes by part: `kafka`, … */
  readonly pids: Readonly<Record<string, number>>;
  readonly stop: () => Promise<void>;
}

/**
 * A broker and a schema registry on free ports, of the run's own (with `analytics` also the ClickHouse endpoint); or those of a stack that runs already: of
 * `services/local/testing/keep.ts`, which names its file in `PARLEY_TEST_STACK`.
 */
export async function benchStack(
  runningFile: string | undefined,
  report: (line: string) => void,
  analytics: boolean,
): Promise<BenchStack> {
  if (runningFile) return { ...addressesIn(runningFile), stop: async () => {} };
  const stack = await startTestStack(report, ['kafka', 'registry', ...(analytics ? ['clickhouse'] : [])]);
  return { ...addressesIn(stack.file), stop: stack.stop };
}

const addressesIn = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as RunningStack;
