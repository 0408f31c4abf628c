import { mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { ParleyError } from '../core/errors.ts';
import type { Logger } from '../platform/logger.ts';
import type { Metrics } from '../platform/metrics.ts';
import { createUsers, type Limits } from './access.ts';
import { AnalystJudge } from './analyst-judge.ts';
import { Bulkhead } from './bulkhead.ts';
import { Engine } from './engine.ts';
import { createHttpServer } from './http-server.ts';
import { createObserver } from './observer.ts';
import { PipePool } from './pipes.ts';
import { Runner } from './runner.ts';
import { Sessions } from './sessions.ts';
import { StatementPrinter } from './statement-printer.ts';

export interface EndpointOptions {
  readonly port: number;
  readonly dataDir: string;
  readonly analystPassword: string;
  readonly analystLimits: Limits;
  readonly maxExecutionTimeS: number;
  readonly maxMemoryBytes: number;
  /** Reading queries of the default user at once. */
  readonly maxReaders: number;
  /** Queries of analysts at once. */
  readonly maxAnalysts: number;
  readonly maxWriters: number;
  readonly maxWaiting: number;
  readonly maxSessions: number;
  readonly maxBodyBytes: number;
  readonly maxConnections: number;
  readonly sendTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
}

/** How long queries may go on after the endpoint was told to stop. */
const GRACE_MS = 5_000;

/** The running endpoint. */
export interface Endpoint {
  readonly url: string;
  /** Asks the engine itself. Resolves with its version; the caller bounds the time. */
  readonly check: () => Promise<{ version: string }>;
  /** Takes no more queries, lets those that run end, closes the engine. */
  readonly stop: () => Promise<void>;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolvePort, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(
        new ParleyError('PORT_IN_USE', `CLICKHOUSE_HTTP_PORT ${port} is taken by another process`, { cause: error }),
      );
    });
    server.listen(port, '127.0.0.1', () => resolvePort((server.address() as AddressInfo).port));
  });
}

/** @throws {ParleyError} CLICKHOUSE_DATA_IN_USE, CLICKHOUSE_ENGINE, PORT_IN_USE. */
export async function startEndpoint(options: EndpointOptions, metrics: Metrics, log: Logger): Promise<Endpoint> {
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const engine = await Engine.open(dataDir, options.analystLimits);
  // Only now: the lock of the engine says that no other process uses these folders.
  const spoolDir = emptyFolder(join(dataDir, 'spool'));
  const pipeDir = emptyFolder(join(dataDir, 'pipes'));
  const pipes = await PipePool.create(pipeDir, options.maxReaders + options.maxAnalysts);
  const sessions = new Sessions(engine, options.maxSessions);
  const readers = new Bulkhead('read', { concurrency: options.maxReaders, queue: options.maxWaiting });
  const analysts = new Bulkhead('analyst', { concurrency: options.maxAnalysts, queue: options.maxWaiting });
  const writers = new Bulkhead('write', { concurrency: options.maxWriters, queue: options.maxWaiting });
  const runner = new Runner({ engine, sessions, pipes, readers, analysts, writers });
  // Room for as many as the lanes take, so that what refuses a statement is always its lane.
  const places = options.maxReaders + options.maxAnalysts + options.maxWriters + options.maxWaiting;
  const printer = new StatementPrinter(engine, places);
  const server = createHttpServer({
    ...options,
    engine,
    printer,
    judge: new AnalystJudge(engine.analystFunctions),
    runner,
    spoolDir,
    users: createUsers(options.analystPassword, options.analystLimits, options),
    observe: createObserver(metrics, log, [readers, analysts, writers], sessions),
  });
  let port: number;
  try {
    port = await listen(server, options.port);
  } catch (error) {
    engine.close();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    check: async () => {
      const connection = engine.connect();
      try {
        await engine.query(connection, 'SELECT 1');
      } finally {
        engine.disconnect(connection);
      }
      return { version: engine.version };
    },
    stop: async () => {
      const closed = new Promise((done) => server.close(done));
      server.closeIdleConnections();
      // Past this, leaving clients stop what reads; what writes ends by itself.
      const cut = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await closed;
      clearTimeout(cut);
      await runner.idle();
      sessions.close();
      printer.close();
      engine.close();
      for (const dir of [spoolDir, pipeDir]) rmSync(dir, { recursive: true, force: true });
    },
  };
}

function emptyFolder(dir: string): string {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return dir;
}
