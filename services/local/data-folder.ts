import { mkdir, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ParleyError } from '../core/errors.ts';
import { folders } from './folders.ts';
import { endLeftovers } from './process/leftovers.ts';
import { isLock, type Lock, tryLock } from './process/lock.ts';

const LEFTOVER_GRACE_MS = 5_000;
const MIB = 1_024 * 1_024;

export interface DataFolderOptions {
  readonly dataDir: string;
  readonly minFreeMib: number;
  readonly report: (line: string) => void;
}

async function assertSpace(dataDir: string, minFreeMib: number): Promise<void> {
  const { bavail, bsize } = await statfs(dataDir);
  const freeMib = Math.floor((bavail * bsize) / MIB);
  if (freeMib >= minFreeMib) return;
  throw new ParleyError(
    'DISK_FULL',
    `Only ${freeMib} MiB are free on the disk of ${dataDir}; Parley needs ${minFreeMib} MiB (MIN_FREE_DISK_MIB): free some space or choose another folder with --data-dir.`,
  );
}

/** `mkdir -p`, one level at a time: Node's own recursion never ends below a pseudo file system such as /proc. */
async function makeFolder(path: string): Promise<void> {
  const ignoreExisting = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  };
  try {
    await mkdir(path).catch(ignoreExisting);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path).catch(ignoreExisting);
  }
}

/**
 * Takes the data folder for this process: makes it, checks the space, locks it, and ends what a killed supervisor
 * left running in it.
 *
 * @throws {ParleyError} DISK_FULL, ALREADY_RUNNING (with the pid that has it), CONFIG_INVALID for a folder that cannot be made.
 */
export async function takeDataFolder({ dataDir, minFreeMib, report }: DataFolderOptions): Promise<Lock> {
  const paths = folders(dataDir);
  try {
    await makeFolder(dataDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ParleyError(
      'CONFIG_INVALID',
      `The data folder ${dataDir} cannot be made (${code}): choose another one with --data-dir.`,
    );
  }
  await assertSpace(dataDir, minFreeMib);
  const lock = await tryLock(paths.lock);
  if (!isLock(lock)) {
    throw new ParleyError(
      'ALREADY_RUNNING',
      `Parley is already running in ${dataDir} (process ${lock.pid}): stop it first, or choose another folder with --data-dir.`,
    );
  }
  const ended = await endLeftovers(paths.pids, LEFTOVER_GRACE_MS);
  if (ended.length > 0) report(`Ended what an earlier run had left: ${ended.join(', ')}`);
  // Instance files of processes that are gone.
  await rm(paths.run, { recursive: true, force: true });
  return lock;
}
