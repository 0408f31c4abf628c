import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a running service tells `parley status` and the supervisor about itself. */
export interface Instance {
  readonly name: string;
  readonly instance: string;
  readonly pid: number;
  readonly admin_url: string;
  readonly url: string | null;
}

const fileOf = (dir: string, { name, pid }: Pick<Instance, 'name' | 'pid'>) => join(dir, `${name}-${pid}.json`);

/** Written whole or not at all: a reader never sees half a file. */
export async function writeInstanceFile(dir: string, instance: Instance): Promise<void> {
  await mkdir(dir, { recursive: true });
  const file = fileOf(dir, instance);
  await writeFile(`${file}.tmp`, `${JSON.stringify(instance)}\n`);
  await rename(`${file}.tmp`, file);
}

export const removeInstanceFile = (dir: string, instance: Pick<Instance, 'name' | 'pid'>): Promise<void> =>
  rm(fileOf(dir, instance), { force: true });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** All instances whose process is alive, by name, then pid. A missing folder is an empty list. */
export async function readInstanceFiles(dir: string): Promise<Instance[]> {
  let names: string[];
  try {
    names = await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .map(async (name) => {
        try {
          return JSON.parse(await readFile(join(dir, name), 'utf8')) as Instance;
        } catch {
          // Removed between the listing and the read: the service stopped just now.
          return undefined;
        }
      }),
  );
  return found
    .filter((instance): instance is Instance => instance !== undefined && isAlive(instance.pid))
    .sort((a, b) => a.name.localeCompare(b.name) || a.pid - b.pid);
}
