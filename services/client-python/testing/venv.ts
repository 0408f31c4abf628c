import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const HERE = join(import.meta.dirname, '..');
const CACHE = process.env['PARLEY_CACHE_DIR'] ?? join(HERE, '../../.parley/cache');
const PACKAGES = ['websockets', 'mypy', 'pytest', 'hatchling'];
const LOCK_POLL_MS = 200;
const LOCK_WAIT_MS = 120_000;

export interface PythonRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Python with what the client and its tests need; the client itself is read from its sources. */
export class Python {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /**
   * Made once, in the cache folder (60 MB, a quarter of a minute).
   *
   * @returns what is missing, where this machine has no Python 3.10 with venv, or no package index.
   */
  static async find(): Promise<Python | string> {
    const version = await run('python3', ['--version']).then(
      ({ stdout }) => stdout.trim(),
      () => undefined,
    );
    if (version === undefined) return 'there is no python3';
    if (Number(/ 3\.(\d+)/.exec(version)?.[1] ?? 0) < 10) return `${version} is too old: 3.10 is needed`;
    const name = createHash('sha256').update(`${version} ${PACKAGES}`).digest('hex').slice(0, 12);
    const folder = join(CACHE, `client-python-${name}`);
    try {
      await makeOnce(folder);
    } catch (error) {
      return `no virtual environment with ${PACKAGES.join(', ')} could be made: ${(error as Error).message.slice(0, 500)}`;
    }
    return new Python(join(folder, 'bin/python'));
  }

  /** @param env beside this process's; `PYTHONPATH` is where the client is read from. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<PythonRun> {
    const options = {
      cwd: HERE,
      env: { ...process.env, PYTHONPATH: 'src', MYPYPATH: 'src', PYTHONDONTWRITEBYTECODE: '1', ...env },
    };
    return new Promise((resolve) => {
      execFile(this.#program, args, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }
}

/** Programs of a virtual environment name its path, so it is made in its place; two test files may ask at once. */
async function makeOnce(folder: string): Promise<void> {
  const done = join(folder, 'parley-ready');
  const lock = `${folder}.lock`;
  for (const until = performance.now() + LOCK_WAIT_MS; ; await sleep(LOCK_POLL_MS)) {
    if (existsSync(done)) return;
    // A lock that outlived its holder is broken after the wait.
    if (performance.now() > until) await rm(lock, { recursive: true, force: true });
    await mkdir(CACHE, { recursive: true });
    const mine = await mkdir(lock).then(
      () => true,
      () => false,
    );
    if (mine) break;
  }
  try {
    await rm(folder, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', folder]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES];
    await run(join(folder, 'bin/python'), pip);
    await writeFile(done, randomUUID());
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

/** The Python programs of a page, in their order. */
export const programsOf = async (page: string): Promise<string[]> =>
  [...(await readFile(page, 'utf8')).matchAll(/```python\n([\s\S]*?)```/g)].map(([, program = '']) => program);
