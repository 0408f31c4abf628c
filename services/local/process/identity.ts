import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * One run of one process: the pid alone may be given to another process later, the pid with its start time may not.
 * `started` is opaque: on Linux the kernel's boot id and the start in clock ticks, elsewhere what `ps` says.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly started: string;
}

const run = promisify(execFile);

async function startOnLinux(pid: number): Promise<string | undefined> {
  const [stat, boot] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
  ]);
  // The command's name, in brackets, may hold blanks and brackets itself: count the fields after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  return state === 'Z' || state === 'X' ? undefined : `${boot.trim()}:${ticks}`;
}

/** The identity of the process that has this pid now; `undefined` when there is none (or only its zombie). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const started =
      process.platform === 'linux'
        ? await startOnLinux(pid)
        : (await run('ps', ['-o', 'lstart=', '-p', String(pid)])).stdout.trim();
    return started ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether exactly this process is still running. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.started === identity.started;
}
