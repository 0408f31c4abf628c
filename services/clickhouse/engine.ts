import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf, ParleyError } from '../core/errors.ts';
import { quote } from '../platform/clickhouse/sql-statements.ts';
import { type Limits, usersXml } from './access.ts';
import { AnalystFunctions, type EngineFunction } from './analyst-functions.ts';
import { fromEngine } from './exception.ts';
import {
  type Connection,
  type InsertOutcome,
  loadNativeEngine,
  type NativeEngine,
  type QueryOutcome,
} from './native.ts';

/**
 * The server's defaults where `clickhouse local`, which chdb is built on, has others: `1 + 1` is not a query, and a
 * file is read with read(2).
 */
const CONNECTION_ARGS = ['--implicit_select=0', '--storage_file_read_method=pread'];

/** The engine of this process on one data folder. Connections are cheap (75 µs): each request has one of its own. */
export class Engine {
  readonly #native: NativeEngine;
  readonly #path: string;
  /** Held open for the whole life: the engine ends with its last connection. */
  readonly #anchor: Connection;
  readonly version: string;
  readonly timezone: string;
  readonly displayName: string;
  readonly #formats: ReadonlySet<string>;
  readonly analystFunctions: AnalystFunctions;
  /** Names of data types, in lower case. */
  readonly typeNames: ReadonlySet<string>;

  private constructor(native: NativeEngine, path: string, anchor: Connection, facts: EngineFacts) {
    this.#native = native;
    this.#path = path;
    this.#anchor = anchor;
    this.version = facts.version;
    this.timezone = facts.timezone;
    this.displayName = facts.displayName;
    this.#formats = new Set(facts.formats.map((name) => name.toLowerCase()));
    this.analystFunctions = new AnalystFunctions(facts.functions);
    this.typeNames = new Set(facts.types.map((name) => name.toLowerCase()));
  }

  /** @throws {ParleyError} CLICKHOUSE_DATA_IN_USE, CLICKHOUSE_ENGINE. */
  static async open(dataDir: string, analyst: Limits): Promise<Engine> {
    const path = resolve(dataDir, 'engine');
    const configDir = resolve(dataDir, 'config');
    for (const dir of [path, configDir]) mkdirSync(dir, { recursive: true });
    const users = join(configDir, 'users.xml');
    const config = join(configDir, 'config.xml');
    writeFileSync(users, usersXml(analyst), { mode: 0o600 });
    writeFileSync(config, `<clickhouse><users_config>${users}</users_config></clickhouse>\n`);
    try {
      const native = loadNativeEngine();
      const anchor = native.CreateConnection(path, [`--config-file=${config}`, ...CONNECTION_ARGS]);
      return new Engine(native, path, anchor, await readFacts(native, anchor));
    } catch (error) {
      const holder = holderOf(path);
      if (holder !== undefined) {
        const text = `${path} is in use by another process (pid ${holder})`;
        throw new ParleyError('CLICKHOUSE_DATA_IN_USE', text, { cause: error });
      }
      const text = `the engine did not open ${path}: ${messageOf(error)}`;
      throw new ParleyError('CLICKHOUSE_ENGINE', text, { cause: error });
    }
  }

  isFormat = (name: string): boolean => this.#formats.has(name.toLowerCase());

  connect(): Connection {
    return this.#native.CreateConnection(this.#path, CONNECTION_ARGS);
  }

  disconnect(connection: Connection): void {
    this.#native.CloseConnection(connection);
  }

  /** @throws {ClickHouseException} whatever the engine says. */
  async query(connection: Connection, sql: string, format = 'TabSeparated'): Promise<QueryOutcome> {
    try {
      return await this.#native.QueryAsyncConnection(connection, sql, format);
    } catch (error) {
      throw fromEngine(error);
    }
  }

  /** As {@link query}, for what writes: tells rows and bytes written, and has no result. */
  async write(connection: Connection, sql: string): Promise<InsertOutcome> {
    try {
      return await this.#native.InsertRawAsyncConnection(connection, sql, EMPTY, false);
    } catch (error) {
      throw fromEngine(error);
    }
  }

  /** Stops every query that carries `tag` as its log comment. The engine gives its queries ids of its own. */
  async kill(tag: string): Promise<void> {
    const connection = this.connect();
    try {
      await this.query(connection, `KILL QUERY WHERE Settings['log_comment'] = ${quote(tag)} ASYNC`);
    } finally {
      this.disconnect(connection);
    }
  }

  close(): void {
    this.#native.CloseConnection(this.#anchor);
  }
}

/** The process that holds a data folder, as the engine's own lock file names it; chdb does not say why it failed. */
function holderOf(path: string): number | undefined {
  try {
    const pid = Number(/^PID: (\d+)/m.exec(readFileSync(join(path, 'status'), 'utf8'))?.[1]);
    if (!(pid > 0) || pid === process.pid) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // No such file, or no such process; EPERM is a process of somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 0 : undefined;
  }
}

const EMPTY = new Uint8Array(0);

interface EngineFacts {
  readonly version: string;
  readonly timezone: string;
  readonly displayName: string;
  readonly formats: readonly string[];
  readonly functions: readonly EngineFunction[];
  readonly types: readonly string[];
}

async function readFacts(native: NativeEngine, connection: Connection): Promise<EngineFacts> {
  const rows = async <T>(sql: string): Promise<T[]> => {
    const { bytes } = await native.QueryAsyncConnection(connection, sql, 'JSONEachRow');
    const lines = Buffer.from(bytes).toString().split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
  };
  const [facts] = await rows<Omit<EngineFacts, 'functions'>>(
    `SELECT version() AS version, timezone() AS timezone, hostName() AS displayName,
      (SELECT groupArray(name) FROM system.formats) AS formats,
      (SELECT groupArray(name) FROM system.data_type_families) AS types`,
  );
  const functions = await rows<EngineFunction>('SELECT name, is_aggregate, alias_to, categories FROM system.functions');
  if (!facts) throw new Error('the engine says nothing about itself');
  return { ...facts, functions };
}
