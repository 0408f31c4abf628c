import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../core/testing/eventually.ts';
import { freePort } from '../../platform/free-port.ts';
import { Child, type Exit } from '../process/child.ts';

const MAIN = join(import.meta.dirname, '../main.ts');

/** Without the bootstrap: a machine that runs tests has what it installs. */
const NPM_START = ['npm', 'start', '--ignore-scripts', '--'] as const;

export interface ReadyDocument {
  readonly data_dir: string;
  readonly token: string | null;
  readonly parts: readonly { name: string; address: string | null; pid: number | null; external: boolean }[];
}

/** One run of `npm start`'s program. */
export interface Launched {
  readonly pid: number;
  readonly output: () => string;
  readonly exited: Promise<Exit>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** The document that `--json` prints. */
  readonly ready: () => Promise<ReadyDocument>;
}

/** A data folder and ports of its own for tests of `npm start`. */
export async function launcher() {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-start-'));
  const ports = {
    KAFKA_PORT: String(await freePort()),
    SCHEMA_REGISTRY_PORT: String(await freePort()),
    CLICKHOUSE_HTTP_PORT: String(await freePort()),
    NLP_PORT: String(await freePort()),
    GATEWAY_PORT: String(await freePort()),
  };
  const running = new Set<Child>();
  return {
    dataDir,
    ports,
    /** @param through npm takes signals for what it runs; by default the program is run directly. */
    launch: async (
      args: readonly string[],
      env: NodeJS.ProcessEnv = {},
      through: 'node' | 'npm' = 'node',
    ): Promise<Launched> => {
      const chunks: Buffer[] = [];
      const [command, ...first] = through === 'node' ? [process.execPath, MAIN] : NPM_START;
      const child = await Child.start({
        command,
        args: [...first, '--data-dir', dataDir, ...args],
        env: { ...process.env, ...ports, KAFKA_HEAP: '512m', ...env },
        onOutput: (chunk) => chunks.push(chunk),
      });
      running.add(child);
      void child.exited.then(() => running.delete(child));
      const output = () => Buffer.concat(chunks).toString('utf8');
      let over = false;
      void child.exited.then(() => {
        over = true;
      });
      return {
        pid: child.pid,
        output,
        exited: child.exited,
        signal: (signal) => child.signal(signal),
        ready: async () => {
          await eventually(
            () => {
              if (!over && !output().includes('"ready":true')) throw new Error(`not ready yet: ${output()}`);
            },
            { timeoutMs: 60_000 },
          );
          const line = output()
            .split('\n')
            .find((candidate) => candidate.startsWith('{"ready":true'));
          if (!line) throw new Error(`it ended: ${output()}`);
          return JSON.parse(line) as ReadyDocument;
        },
      };
    },
    cleanUp: async () => {
      await Promise.all([...running].map((child) => child.stop(20_000)));
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
