import { type ConfigOf, int, oneOf, optional, readConfig, text } from '../core/config.ts';
import { isParleyError, messageOf } from '../core/errors.ts';
import { within } from '../core/within.ts';
import { type AdminRoutes, AdminServer, type Checks } from './admin-server.ts';
import { removeInstanceFile, writeInstanceFile } from './instance-file.ts';
import { instanceName } from './instance-name.ts';
import { createLogger, type Logger } from './logger.ts';
import { Metrics } from './metrics.ts';

export interface ServiceContext {
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The name of this instance in logs and client ids: `<service>-<host>-<pid>`. */
  readonly instance: string;
  /** Ends the process with exit code 1 after a drain: for a fault that a restart may cure. */
  readonly fail: (error: unknown) => void;
}

export interface RunningService {
  /** Where users of the service reach it, if anywhere. */
  readonly url?: string;
  /** What it needs for each message: not ready while one of them fails. */
  readonly checks: Checks;
  /** What it needs for some messages, or can do without: reported, and ready all the same. */
  readonly advisory?: Checks;
  readonly routes?: AdminRoutes;
  /** What `/metrics` answers, where the service is more than this process. */
  readonly scrape?: () => Promise<string>;
  /** Stops intake, drains, releases. Must settle within the drain bound. */
  readonly stop: () => Promise<void>;
}

export interface ServiceDefinition {
  readonly name: string;
  /** The process's environment, given by its `main.ts`. */
  readonly env: NodeJS.ProcessEnv;
  readonly adminPort: number;
  /** How long a drain may take before the process ends anyway, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly start: (context: ServiceContext) => Promise<RunningService>;
}

/** What every service reads besides its own variables. */
export const LIFECYCLE_SPEC = {
  ADMIN_HOST: text({ default: '127.0.0.1', doc: 'Address that /healthz, /readyz, /metrics listen on' }),
  ADMIN_PORT: optional(int({ min: 0, max: 65_535, doc: 'The port of /healthz, /readyz, /metrics' })),
  PARLEY_RUN_DIR: optional(text({ doc: 'Folder in which a running service writes down its addresses' })),
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    doc: 'What is logged: this level and those above it',
  }),
};

/**
 * The life of one service process: configuration, start, admin server, instance file; then SIGTERM or SIGINT drains
 * it within a bound. Exit codes: 0 after a drain, 1 when start, drain or a task failed, 2 when the configuration is
 * wrong.
 */
export async function runService(definition: ServiceDefinition): Promise<void> {
  const { name } = definition;
  let log = createLogger(name);
  try {
    const config = readConfig(LIFECYCLE_SPEC, definition.env);
    log = createLogger(name, config.LOG_LEVEL);
    await serve(definition, config, log);
  } catch (error) {
    log.fatal({ code: isParleyError(error) ? error.code : undefined, err: error }, `${name} could not start`);
    process.exit(isParleyError(error) && error.code === 'CONFIG_INVALID' ? 2 : 1);
  }
}

type LifecycleConfig = ConfigOf<typeof LIFECYCLE_SPEC>;

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

async function serve(definition: ServiceDefinition, config: LifecycleConfig, log: Logger): Promise<void> {
  const { name } = definition;
  const metrics = new Metrics(name);
  const instance = instanceName(name, process.pid);
  let accepting = true;
  let exitCode = 0;
  let requestStop: () => void = () => {};
  const stopRequested = new Promise<void>((resolve) => {
    requestStop = resolve;
  });
  const fail = (error: unknown) => {
    log.fatal({ code: isParleyError(error) ? error.code : undefined, err: error }, `${name} ends: ${messageOf(error)}`);
    exitCode = 1;
    requestStop();
  };
  process.on('unhandledRejection', fail);
  process.on('uncaughtException', fail);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, requestStop);

  const service = await definition.start({ env: definition.env, log, metrics, instance, fail });
  const admin = await AdminServer.start({
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT ?? definition.adminPort,
    fallbackToFreePort: config.ADMIN_PORT === undefined,
    metrics,
    checks: service.checks,
    advisory: service.advisory,
    accepting: () => accepting,
    ...(service.routes && { routes: service.routes }),
    ...(service.scrape && { scrape: service.scrape }),
  });
  const adminHost = ANY_ADDRESS.has(config.ADMIN_HOST) ? '127.0.0.1' : config.ADMIN_HOST;
  const adminUrl = `http://${adminHost}:${admin.port}`;
  const record = { name, instance, pid: process.pid, admin_url: adminUrl, url: service.url ?? null };
  if (config.PARLEY_RUN_DIR) await writeInstanceFile(config.PARLEY_RUN_DIR, record);
  log.info({ admin_url: adminUrl, url: service.url }, `${name} is up`);

  await stopRequested;
  accepting = false;
  log.info(`${name} drains`);
  const drained = await settledWithin(service.stop(), definition.drainTimeoutMs);
  if (drained !== 'done') {
    log.error({ err: drained }, `${name} did not drain within ${definition.drainTimeoutMs} ms`);
    exitCode = 1;
  }
  if (config.PARLEY_RUN_DIR) await removeInstanceFile(config.PARLEY_RUN_DIR, record);
  await admin.stop();
  log.info({ exit_code: exitCode }, `${name} has stopped`);
  process.exit(exitCode);
}

async function settledWithin(work: Promise<void>, timeoutMs: number): Promise<'done' | unknown> {
  const done = work.then(() => 'done' as const);
  return await within(timeoutMs, done, () => new Error('drain bound reached')).catch((error: unknown) => error);
}
