#!/usr/bin/env node
import { int, readConfig, secret, text } from '../core/config.ts';
import { runService } from '../platform/lifecycle.ts';
import { type Endpoint, startEndpoint } from './endpoint.ts';
import { PRINTS_AT_ONCE } from './statement-printer.ts';

const MEBIBYTE = 1024 * 1024;
const SPEC = {
  CLICKHOUSE_HTTP_PORT: int({ default: 8123, min: 0, max: 65_535, doc: 'Port of the HTTP interface, on 127.0.0.1' }),
  CLICKHOUSE_DATA_DIR: text({ doc: 'Folder of the engine’s data; one process at a time' }),
  CLICKHOUSE_ANALYST_PASSWORD: secret({ default: 'analyst', doc: 'Password of the read-only user analyst' }),
  CLICKHOUSE_ANALYST_MAX_EXECUTION_TIME_S: int({ default: 60, min: 1, max: 3_600, doc: 'Longest query of an analyst' }),
  CLICKHOUSE_ANALYST_MAX_MEMORY_BYTES: int({
    default: 1024 * MEBIBYTE,
    min: 16 * MEBIBYTE,
    max: 1024 * 1024 * MEBIBYTE,
    doc: 'Most memory of an analyst’s query',
  }),
  CLICKHOUSE_ANALYST_MAX_RESULT_ROWS: int({
    default: 1_000_000,
    min: 1,
    max: 1_000_000_000,
    doc: 'Most rows of an analyst’s result',
  }),
  CLICKHOUSE_MAX_EXECUTION_TIME_S: int({
    default: 600,
    min: 0,
    max: 86_400,
    doc: 'Longest query of the default user unless it asks for another bound; 0 is none',
  }),
  CLICKHOUSE_MAX_MEMORY_BYTES: int({
    default: 4096 * MEBIBYTE,
    min: 0,
    max: 1024 * 1024 * MEBIBYTE,
    doc: 'Most memory of one query of the default user unless it asks for another bound; 0 is none',
  }),
  CLICKHOUSE_MAX_READERS: int({ default: 8, min: 1, max: 64, doc: 'Reading queries of the default user at once' }),
  CLICKHOUSE_MAX_ANALYST_READERS: int({ default: 4, min: 1, max: 64, doc: 'Queries of analysts at once' }),
  CLICKHOUSE_MAX_WRITERS: int({ default: 4, min: 1, max: 32, doc: 'Inserts and other statements at once' }),
  CLICKHOUSE_MAX_WAITING: int({ default: 100, min: 0, max: 10_000, doc: 'Queries waiting in each of the three lanes' }),
  CLICKHOUSE_MAX_SESSIONS: int({
    default: 64,
    min: 1,
    max: 1_000,
    doc: 'Named sessions (session_id) of each user held at once',
  }),
  CLICKHOUSE_MAX_CONNECTIONS: int({ default: 1_024, min: 8, max: 20_000, doc: 'HTTP connections at once' }),
  CLICKHOUSE_MAX_BODY_BYTES: int({
    default: 256 * MEBIBYTE,
    min: 1_024,
    max: 16 * 1024 * MEBIBYTE,
    doc: 'Largest request body, decompressed',
  }),
  CLICKHOUSE_SEND_TIMEOUT_MS: int({
    default: 60_000,
    min: 100,
    max: 3_600_000,
    doc: 'How long a client may take nothing of its result before its query is stopped',
  }),
  CLICKHOUSE_ALLOWED_HOSTS: text({
    default: '',
    doc: 'Host names, with commas, by which the endpoint may be called beside localhost and 127.*',
  }),
  CLICKHOUSE_ALLOWED_ORIGINS: text({
    default: '',
    doc: 'Origins (https://dash.example.org), with commas, whose pages may call beside those of this machine',
  }),
  CLICKHOUSE_KEEP_ALIVE_MS: int({ default: 10_000, min: 0, max: 600_000, doc: 'Life of an idle HTTP connection' }),
};
const ENGINE = 'engine';
/** Health checks, kills, files, compression, and two statements of each user that the engine prints, share libuv's threads. */
const SPARE_THREADS = 8 + 2 * PRINTS_AT_ONCE;
const items = (list: string): string[] =>
  list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

await runService({
  name: 'clickhouse',
  env: process.env,
  adminPort: 9485,
  drainTimeoutMs: 20_000,
  start: async ({ env, metrics, log }) => {
    const config = readConfig(SPEC, env);
    // A query holds a libuv thread as long as it runs; the pool (4 by default) takes its size at its first use, which
    // is later than this.
    const lanes = config.CLICKHOUSE_MAX_READERS + config.CLICKHOUSE_MAX_ANALYST_READERS + config.CLICKHOUSE_MAX_WRITERS;
    const threads = lanes + SPARE_THREADS;
    if (!(Number(process.env['UV_THREADPOOL_SIZE']) >= threads)) process.env['UV_THREADPOOL_SIZE'] = String(threads);
    const endpoint: Endpoint = await startEndpoint(
      {
        port: config.CLICKHOUSE_HTTP_PORT,
        dataDir: config.CLICKHOUSE_DATA_DIR,
        analystPassword: config.CLICKHOUSE_ANALYST_PASSWORD,
        analystLimits: {
          maxExecutionTimeS: config.CLICKHOUSE_ANALYST_MAX_EXECUTION_TIME_S,
          maxMemoryBytes: config.CLICKHOUSE_ANALYST_MAX_MEMORY_BYTES,
          maxResultRows: config.CLICKHOUSE_ANALYST_MAX_RESULT_ROWS,
        },
        maxExecutionTimeS: config.CLICKHOUSE_MAX_EXECUTION_TIME_S,
        maxMemoryBytes: config.CLICKHOUSE_MAX_MEMORY_BYTES,
        maxReaders: config.CLICKHOUSE_MAX_READERS,
        maxAnalysts: config.CLICKHOUSE_MAX_ANALYST_READERS,
        maxWriters: config.CLICKHOUSE_MAX_WRITERS,
        maxWaiting: config.CLICKHOUSE_MAX_WAITING,
        maxSessions: config.CLICKHOUSE_MAX_SESSIONS,
        maxBodyBytes: config.CLICKHOUSE_MAX_BODY_BYTES,
        maxConnections: config.CLICKHOUSE_MAX_CONNECTIONS,
        sendTimeoutMs: config.CLICKHOUSE_SEND_TIMEOUT_MS,
        keepAliveTimeoutMs: config.CLICKHOUSE_KEEP_ALIVE_MS,
        allowedHosts: items(config.CLICKHOUSE_ALLOWED_HOSTS),
        allowedOrigins: items(config.CLICKHOUSE_ALLOWED_ORIGINS),
      },
      metrics,
      log,
    );
    return { url: endpoint.url, checks: { [ENGINE]: endpoint.check }, stop: endpoint.stop };
  },
});
