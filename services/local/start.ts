import { resolve } from 'node:path';
import { ParleyError } from '../core/errors.ts';
import { ensureLocalKey, localKeyPath, signToken } from '../operator/local-token.ts';
import type { LocalConfig } from './config.ts';
import { takeDataFolder } from './data-folder.ts';
import { folders } from './folders.ts';
import { ensureJars, type Jars } from './jars.ts';
import { commandSettings, PART_NAMES, type PartName, planParts } from './plan.ts';
import type { PartEvent } from './runners/runner.ts';
import { onStopSignals } from './stop-signals.ts';
import { Supervisor } from './supervisor.ts';
import type { ReadyReport } from './terminal.ts';

const DEMO = { tenant: 'demo', bot: 'demo-bot', roles: ['bot'], ttlMs: 24 * 3_600_000 };

export interface StartOptions {
  readonly config: LocalConfig;
  readonly env: NodeJS.ProcessEnv;
  readonly dataDir: string;
  readonly only: readonly PartName[];
  readonly report: (line: string) => void;
  readonly onEvent: (event: PartEvent) => void;
  readonly onReady: (ready: ReadyReport) => void;
}

/**
 * The whole life of `npm start`: takes the data folder, starts the parts, reports ready, and stops them all on a
 * signal. Resolves after a clean stop.
 *
 * @throws {ParleyError} one sentence for the user; by then nothing is left running.
 */
export async function runLocal(options: StartOptions): Promise<void> {
  const { config, report } = options;
  const startedAtMs = performance.now();
  const dataDir = resolve(options.dataDir);
  const stop = new AbortController();
  let supervisor: Supervisor | undefined;
  const release = onStopSignals(
    () => {
      report('Stopping; once more stops at once');
      stop.abort();
      void supervisor?.stop();
    },
    () => supervisor?.kill(),
  );
  try {
    const lock = await takeDataFolder({ dataDir, minFreeMib: config.MIN_FREE_DISK_MIB, report });
    try {
      report(`Starting Parley in ${dataDir}`);
      const planned = await prepare(options, dataDir, stop.signal);
      if (stop.signal.aborted) return;
      supervisor = planned.supervisor;
      await supervisor.start();
      options.onReady(await readyReport(options, planned, dataDir, performance.now() - startedAtMs));
      await Promise.race([supervisor.failed, aborted(stop.signal)]);
    } catch (error) {
      // A start that was interrupted has nothing to complain about.
      if (!stop.signal.aborted) throw error;
    } finally {
      stop.abort();
      await supervisor?.stop();
      await lock.release();
    }
  } finally {
    release();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // With nothing but parts that run elsewhere there is no child that keeps this process alive.
  const keepAlive = setInterval(() => {}, 60_000);
  const end = () => {
    clearInterval(keepAlive);
    resolve();
  };
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  return promise;
}

interface Planned {
  readonly supervisor: Supervisor;
  readonly parts: ReturnType<typeof planParts>;
  /** True when tokens of the embedded key are accepted. */
  readonly ownKey: boolean;
}

async function prepare(options: StartOptions, dataDir: string, signal: AbortSignal): Promise<Planned> {
  const { config, only } = options;
  const paths = folders(dataDir);
  const ownKey = config.JWT_PUBLIC_KEY === undefined && config.JWKS_URL === undefined;
  const publicKey = ownKey ? await ensureLocalKey(localKeyPath(dataDir)) : undefined;
  const parts = planParts({ config, paths, only, publicKey, jars: await jarsFor(options, signal) });
  if (parts.length === 0) throw new ParleyError('CONFIG_INVALID', '--only names no part that could be started.');
  const { ADMIN_PORT: _oneForAllWouldClash, ...env } = options.env;
  const supervisor = new Supervisor({
    parts,
    logDir: paths.logs,
    pidDir: paths.pids,
    env: { ...env, PARLEY_DATA_DIR: dataDir },
    emit: options.onEvent,
  });
  return { supervisor, parts, ownKey };
}

async function jarsFor({ config, env, only, report }: StartOptions, signal: AbortSignal): Promise<Jars | undefined> {
  const needed =
    (only.includes('kafka') && !config.KAFKA_BROKERS) || (only.includes('registry') && !config.SCHEMA_REGISTRY_URL);
  return needed ? await ensureJars({ cacheDir: config.PARLEY_CACHE_DIR, env, report, signal }) : undefined;
}

async function readyReport(
  { only, config }: StartOptions,
  { supervisor, parts, ownKey }: Planned,
  dataDir: string,
  elapsedMs: number,
): Promise<ReadyReport> {
  const withToken = ownKey && only.includes('gateway');
  return {
    parts: parts.map((part) => ({
      name: part.name,
      address: part.address,
      pid: supervisor.pidOf(part.name),
      external: part.kind === 'external',
      variable: part.kind === 'external' ? part.variable : undefined,
    })),
    elapsedMs,
    dataDir,
    token: withToken ? await signToken({ ...DEMO, keyPath: localKeyPath(dataDir) }) : undefined,
    tokenNote: `bot ${DEMO.bot} of tenant ${DEMO.tenant}, valid for 24 hours`,
    settings: commandSettings(config, dataDir),
    complete: PART_NAMES.every((name) => only.includes(name)),
  };
}
