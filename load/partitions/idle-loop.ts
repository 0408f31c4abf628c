import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../services/local/testing/stack.ts';
import type { LoopDelay } from '../enricher/run-figures.ts';

const PROBE = join(import.meta.dirname, '../enricher/loop-probe.ts');
/** Does nothing until it is told to end. */
const PROGRAM = "process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1_000)";
const STOP_MS = 10_000;

/** How late the event loop of a process that does nothing is while `work` lasts: what the machine itself adds to everyone's. */
export async function besideIdleLoop<T>(work: () => Promise<T>): Promise<{ result: T; idle: LoopDelay }> {
  const dir = await mkdtemp(join(tmpdir(), 'parley-idle-'));
  const file = join(dir, 'loop.json');
  try {
    const child = await Child.start({
      command: process.execPath,
      args: ['--import', PROBE, '--eval', PROGRAM],
      env: { ...process.env, PROBE_FILE: file },
      onOutput: () => undefined,
    });
    const result = await work().finally(() => child.stop(STOP_MS));
    return { result, idle: JSON.parse(await readFile(file, 'utf8')) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
