import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folders } from '../folders.ts';
import { Supervisor } from '../supervisor.ts';
import type { StackAddresses } from './embedded-parts.ts';
import { embeddedParts } from './embedded-parts.ts';

export type { StackAddresses } from './embedded-parts.ts';

/** What the stack's file holds. */
export interface RunningStack extends StackAddresses {
  /** By part. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface TestStack {
  /** JSON file with the addresses, for other processes: the value of `PARLEY_TEST_STACK`. */
  readonly file: string;
  readonly stop: () => Promise<void>;
}

/** The embedded parts on free ports, in a temporary data folder; with `only`, just those of these names. */
export async function startTestStack(report: (line: string) => void, only?: readonly string[]): Promise<TestStack> {
  const { dataDir, addresses, parts } = await embeddedParts(report, only && { only });
  const { logs, pids } = folders(dataDir);
  const supervisor = new Supervisor({ logDir: logs, pidDir: pids, env: process.env, emit: () => {}, parts });
  const remove = () => rm(dataDir, { recursive: true, force: true });
  await supervisor.start().catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const file = join(dataDir, 'stack.json');
  const running = parts.flatMap(({ name }) => {
    const pid = supervisor.pidOf(name);
    return pid === undefined ? [] : [[name, pid] as const];
  });
  await writeFile(file, JSON.stringify({ ...addresses, pids: Object.fromEntries(running) } satisfies RunningStack));
  return {
    file,
    stop: async () => {
      await supervisor.stop();
      await remove();
    },
  };
}
