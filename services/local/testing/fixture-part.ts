import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessPart } from '../parts/part.ts';

/** What a fixture runs once it has written its ready file: stay until TERM. */
export const STAYS = 'setInterval(() => {}, 1000); process.on("SIGTERM", () => process.exit(0));';

export interface FixtureFolder {
  readonly dir: string;
  /** A light part: a tiny Node process that says it is ready by a file, then runs `script`. */
  readonly part: (name: string, options?: Partial<ProcessPart> & { readonly script?: string }) => ProcessPart;
  readonly remove: () => Promise<void>;
}

export async function fixtureFolder(): Promise<FixtureFolder> {
  const dir = await mkdtemp(join(tmpdir(), 'parley-fixture-'));
  return {
    dir,
    part: (name, { script = STAYS, ...options } = {}) => {
      const file = join(dir, `${name}.ready`);
      const announce = `require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.pid));`;
      return {
        kind: 'process',
        name,
        needs: [],
        command: process.execPath,
        args: ['-e', `${announce}${script}`],
        env: {},
        ports: [],
        ready: async ({ pid }) => {
          if ((await readFile(file, 'utf8')) !== String(pid)) throw new Error('not yet this process');
        },
        readyTimeoutMs: 20_000,
        stopGraceMs: 5_000,
        ...options,
      };
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
