import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, isRunning, type ProcessIdentity } from './identity.ts';

const POLL_MS = 50;

/** Writes down which process runs a part, for a next start that finds this supervisor killed. */
export async function recordProcess(dir: string, part: string, pid: number): Promise<void> {
  const identity = await identify(pid);
  if (!identity) return;
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, `${part}.json`), JSON.stringify(identity));
}

export const forgetProcess = (dir: string, part: string): Promise<void> =>
  rm(join(dir, `${part}.json`), { force: true });

async function endWithin(identity: ProcessIdentity, signal: NodeJS.Signals, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  try {
    process.kill(identity.pid, signal);
  } catch {
    // Gone between the look and the signal.
  }
  while (await isRunning(identity)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

async function endLeftover(dir: string, file: string, graceMs: number): Promise<string | undefined> {
  const path = join(dir, file);
  try {
    const identity = JSON.parse(await readFile(path, 'utf8')) as ProcessIdentity;
    if (!(await isRunning(identity))) return undefined;
    if (!(await endWithin(identity, 'SIGTERM', graceMs))) await endWithin(identity, 'SIGKILL', graceMs);
    return `${basename(file, '.json')} (${identity.pid})`;
  } catch {
    // Half a record: its writer was killed while writing it, so the guard is what ends that process.
    return undefined;
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Ends the parts that a killed supervisor left running: exactly the recorded processes, never one that merely has
 * the same pid now. To be called while holding the data folder's lock.
 *
 * @returns the parts that were ended, as `name (pid)`.
 */
export async function endLeftovers(dir: string, graceMs: number): Promise<string[]> {
  const files = await readdir(dir).catch(() => []);
  const ended = await Promise.all(files.map((file) => endLeftover(dir, file, graceMs)));
  return ended.filter((name) => name !== undefined);
}
