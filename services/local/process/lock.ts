import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { identify, isRunning, type ProcessIdentity } from './identity.ts';

/** A held lock; `release` gives it back and is safe to call twice. */
export interface Lock {
  readonly release: () => Promise<void>;
}

async function readOwner(path: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/** True when the file was made by us just now; the link makes it appear whole or not at all. */
async function tryCreate(path: string, owner: ProcessIdentity): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(owner));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Moves a dead owner's file away; when another process replaced it in between, that one's file is put back. */
async function removeStale(path: string, stale: ProcessIdentity | undefined): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const moved = await readOwner(aside);
  const isTheStaleOne = moved?.pid === stale?.pid && moved?.started === stale?.started;
  if (!isTheStaleOne) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

/**
 * Takes the lock file for this process. A file left by a process that is gone (killed, machine restarted) is taken
 * over; identity goes by pid and start time, so a recycled pid does not hold it.
 *
 * @returns the lock, or the running process that holds it.
 */
export async function tryLock(path: string): Promise<Lock | ProcessIdentity> {
  const self = await identify(process.pid);
  if (!self) throw new Error('this process cannot find its own start time');
  for (;;) {
    if (await tryCreate(path, self)) return { release: () => rm(path, { force: true }) };
    const owner = await readOwner(path);
    if (owner && (await isRunning(owner))) return owner;
    await removeStale(path, owner);
  }
}

export const isLock = (result: Lock | ProcessIdentity): result is Lock => 'release' in result;
