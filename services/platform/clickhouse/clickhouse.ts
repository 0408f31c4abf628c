import { ClickHouseError, ClickHouseLogLevel, type ClickHouseSettings, createClient } from '@clickhouse/client';
import { messageOf, ParleyError } from '../../core/errors.ts';
import type { Check } from '../admin-server.ts';
import type { Logger } from '../logger.ts';
import { QUORUM_INSERT, SEQUENTIAL_READ } from './cluster-statements.ts';

export interface ClickHouseOptions {
  readonly url: string;
  readonly database: string;
  readonly username?: string;
  readonly password?: string;
  readonly log: Logger;
  /** How long one request may take, in milliseconds. */
  readonly requestTimeoutMs?: number;
  /** The cluster of which the server is a replica, by its own configuration; none: a server by itself. */
  readonly cluster?: string | undefined;
}

export interface RequestOptions {
  readonly params?: Record<string, unknown>;
  readonly settings?: ClickHouseSettings;
  readonly signal?: AbortSignal;
}

export interface Insert {
  readonly table: string;
  /** At least one. */
  readonly columns: readonly string[];
  /** One array a row, values in the order of `columns`. */
  readonly rows: readonly (readonly unknown[])[];
  readonly settings?: ClickHouseSettings;
}

/**
 * Sockets are dropped after this much idleness, well before the server does (ClickHouse: 10 s, before 23.11 3 s), so
 * that a request hardly ever meets one that is being closed.
 */
const IDLE_SOCKET_TTL_MS = 2_000;
const REQUEST_TIMEOUT_MS = 30_000;
const RESET_RETRIES = 2;

const CONNECTION_FAULTS = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH']);

const codeOf = (error: unknown): string | undefined => (error as { code?: string } | null)?.code;
const wasReset = (error: unknown): boolean =>
  codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE' || /socket hang up/i.test(messageOf(error));

/** ClickHouse's own error number, when it was ClickHouse that refused. */
export const clickHouseErrorCode = (error: unknown): number | undefined =>
  error instanceof ClickHouseError ? Number(error.code) : undefined;

/** One database of a ClickHouse server, over HTTP. */
export class ClickHouse {
  readonly database: string;
  readonly cluster: string | undefined;
  readonly #options: ClickHouseOptions;
  readonly #client: ReturnType<typeof createClient>;

  constructor(options: ClickHouseOptions) {
    this.#options = options;
    this.database = options.database;
    this.cluster = options.cluster;
    this.#client = createClient({
      url: options.url,
      database: options.database,
      ...(options.username !== undefined && { username: options.username }),
      ...(options.password !== undefined && { password: options.password }),
      application: 'parley',
      // Its logger writes to the console; what fails is thrown, and the caller logs it or not.
      log: { level: ClickHouseLogLevel.OFF },
      request_timeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      max_open_connections: 16,
      compression: { request: false, response: false },
      keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_TTL_MS, eagerly_destroy_stale_sockets: true },
    });
  }

  /** Another database of the same server, or the same one with more patience; to be closed on its own. */
  in(database: string, requestTimeoutMs = this.#options.requestTimeoutMs): ClickHouse {
    return new ClickHouse({ ...this.#options, database, ...(requestTimeoutMs !== undefined && { requestTimeoutMs }) });
  }

  /** All rows of a SELECT, as objects. 64-bit integers come as numbers. */
  async query<T>(sql: string, { params, settings, signal }: RequestOptions = {}): Promise<T[]> {
    return await this.#again(async () => {
      const result = await this.#client.query({
        query: sql,
        format: 'JSONEachRow',
        ...(params && { query_params: params }),
        ...(signal && { abort_signal: signal }),
        clickhouse_settings: {
          ...(this.cluster !== undefined && SEQUENTIAL_READ),
          ...settings,
          output_format_json_quote_64bit_integers: 0,
        },
      });
      return await result.json<T>();
    });
  }

  /** A statement that may safely run twice: it is sent again should the connection be reset before the answer. */
  async command(sql: string, { settings, signal }: RequestOptions = {}): Promise<void> {
    await this.#again(() =>
      this.#client.command({
        query: sql,
        ...(settings && { clickhouse_settings: settings }),
        ...(signal && { abort_signal: signal }),
      }),
    );
  }

  /** Sends once; a caller that inserts again does so under the same deduplication token. */
  async insert({ table, columns, rows, settings }: Insert): Promise<void> {
    await this.#client.insert({
      table,
      columns: [...columns] as [string, ...string[]],
      values: rows,
      format: 'JSONCompactEachRow',
      clickhouse_settings: { ...(this.cluster !== undefined && QUORUM_INSERT), ...settings, async_insert: 0 },
    });
  }

  /** For /readyz: the server answers, and this is its version. */
  readonly check: Check = async (signal) => {
    try {
      const [row] = await this.query<{ version: string }>('SELECT version() AS version', { signal });
      return { version: row?.version ?? 'unknown' };
    } catch (error) {
      throw unreachable(error) ?? error;
    }
  };

  close(): Promise<void> {
    return this.#client.close();
  }

  /**
   * A kept-alive socket can be closed by the server in the very moment it is used. Statements that come here may run
   * twice; any other failure is the caller's.
   */
  async #again<T>(run: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await run();
      } catch (error) {
        if (attempt >= RESET_RETRIES || !wasReset(error)) throw error;
        this.#options.log.debug({ err: messageOf(error) }, 'ClickHouse reset the connection; sent again');
      }
    }
  }
}

/** A connection failure as an operator's error; undefined when ClickHouse did answer. */
export function unreachable(error: unknown): ParleyError | undefined {
  const isConnection = CONNECTION_FAULTS.has(codeOf(error) ?? '') || /timeout|hang up/i.test(messageOf(error));
  return isConnection && clickHouseErrorCode(error) === undefined
    ? new ParleyError('CLICKHOUSE_UNREACHABLE', `ClickHouse did not answer: ${messageOf(error)}`, { cause: error })
    : undefined;
}

/** A client for one database; connects on first use. */
export const createClickHouse = (options: ClickHouseOptions): ClickHouse => new ClickHouse(options);
