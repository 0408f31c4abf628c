import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = process.env['PARLEY_CACHE_DIR'] ?? join(import.meta.dirname, '../../../.parley/cache');
const PLATFORM = `${process.platform}-${process.arch}`;

/** The Node versions that the package is for, beside the repository's own, and the TypeScript that its users have. */
const PACKAGES = {
  node20: `npm:node-${PLATFORM}@20.20.2`,
  node22: `npm:node-${PLATFORM}@22.23.3`,
  'typescript-5': 'npm:typescript@5.9.3',
};

export interface Runtimes {
  /** Programs by name. */
  readonly nodes: Readonly<Record<string, string>>;
  /** The compiler's script. */
  readonly tsc5: string;
}

/** Installs them once into the cache folder, under a name that changes with what is asked for (230 MB, half a minute). */
export async function ensureRuntimes(): Promise<Runtimes> {
  const name = createHash('sha256').update(JSON.stringify(PACKAGES)).digest('hex').slice(0, 12);
  const folder = join(CACHE, `client-runtimes-${name}`);
  if (!(await exists(folder))) await install(folder);
  const modules = join(folder, 'node_modules');
  return {
    nodes: {
      'Node 20': join(modules, 'node20/bin/node'),
      'Node 22': join(modules, 'node22/bin/node'),
      'Node 24': process.execPath,
    },
    tsc5: join(modules, 'typescript-5/bin/tsc'),
  };
}

/** Where a program is on this machine; undefined where it is not. */
export const find = (program: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find(existsSync);

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Beside it first, so that the folder appears whole or not at all, also where two tests install at once. */
async function install(folder: string): Promise<void> {
  const draft = `${folder}.${randomUUID()}`;
  await mkdir(draft, { recursive: true });
  try {
    await writeFile(join(draft, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
    await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], { cwd: draft });
    await rename(draft, folder).catch((error: unknown) =>
      exists(folder).then((there) => there || Promise.reject(error)),
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
