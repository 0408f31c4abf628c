import { join } from 'node:path';

const REPOSITORY = join(import.meta.dirname, '../..');

export const DEFAULT_DATA_DIR = join(REPOSITORY, '.parley');

/** Downloaded jars are kept here unless `PARLEY_CACHE_DIR` says otherwise; every data folder shares them. */
export const DEFAULT_CACHE_DIR = join(DEFAULT_DATA_DIR, 'cache');

/** What lies where in a data folder. */
export const folders = (dataDir: string) => ({
  lock: join(dataDir, 'supervisor.lock'),
  logs: join(dataDir, 'logs'),
  /** Instance files of running services, read by `parley status`. */
  run: join(dataDir, 'run'),
  /** Which process runs which part, for a start after a `kill -9`. */
  pids: join(dataDir, 'pids'),
  keys: join(dataDir, 'keys'),
  kafka: join(dataDir, 'kafka'),
  clickhouse: join(dataDir, 'clickhouse'),
});
