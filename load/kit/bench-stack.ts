import { readFileSync } from 'node:fs';
import { type RunningStack, startTestStack } from '../../services/local/testing/test-stack.ts';

export interface BenchStack {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  /** Set where the run asked for analytics, or by the running stack. */
  readonly clickhouseUrl: string;
  /** Processes by part: `kafka`, … */
  readonly pids: Readonly<Record<string, number>>;
  readonly stop: () => Promise<void>;
}

/**
 * A broker and a schema registry of the run's own on free ports, with `analytics` also the ClickHouse endpoint; or those of
 * a stack that runs already (`services/local/testing/keep.ts` names its file in `PARLEY_TEST_STACK`).
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
