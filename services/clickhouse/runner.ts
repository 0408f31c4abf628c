import { quote, quoteName } from '../platform/clickhouse/sql-statements.ts';
import { roleStatements, type User } from './access.ts';
import type { Bulkhead } from './bulkhead.ts';
import type { Engine } from './engine.ts';
import { ClickHouseException, fromEngine } from './exception.ts';
import { createTable, type PreparedTable } from './external-tables.ts';
import type { Connection } from './native.ts';
import type { PipePool } from './pipes.ts';
import type { Pair, QueryRequest } from './request.ts';
import type { QueryResponse, Summary } from './response.ts';
import { restorePoint, type Sessions } from './sessions.ts';
import type { Statement } from './statement.ts';

/** Everything about one query once its request and body are read. */
export interface Query {
  readonly request: QueryRequest;
  readonly user: User;
  readonly statement: Exclude<Statement, { kind: 'refused' }>;
  readonly format: string;
  /** The file that holds an insert's rows. */
  readonly dataFile: string | undefined;
  /** Tables that came along, for this query alone. */
  readonly tables: readonly PreparedTable[];
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

export interface RunnerOptions {
  readonly engine: Engine;
  readonly sessions: Sessions;
  readonly pipes: PipePool;
  /** Queries of the default user that give a result. */
  readonly readers: Bulkhead;
  /** Whatever a read-only user asks, so that its queries never hold up the sink's. */
  readonly analysts: Bulkhead;
  readonly writers: Bulkhead;
}

const SETTING_NAME = /^[A-Za-z_]\w*$/;
/** The engine's own id of a query cannot be chosen, so what `KILL QUERY` names is the tag in the log comment. */
const QUERY_ID_CONDITION = /\bquery_id\s*=\s*('(?:[^'\\]|\\.)*')/g;
const KILL_RETRY_MS = 250;
const NO_DATA_TO_INSERT = 108;

const assign = ([name, value]: Pair): string => {
  if (SETTING_NAME.test(name)) return `${name} = ${quote(value)}`;
  throw new ClickHouseException({ code: 115, type: 'UNKNOWN_SETTING' }, `Unknown setting '${name}'`);
};

/** The log comment by which a query is found again: its id, after the client's own comment if it has one. */
const tagOf = ({ queryId, settings }: QueryRequest): string => {
  const comment = settings.findLast(([name]) => name === 'log_comment')?.[1];
  return comment ? `${comment} ${queryId}` : queryId;
};

/** The statements that put a connection into the state that one request asks for. */
function preparation({ request, user }: Query): string {
  const limits = Object.entries(user.limits);
  const own = request.settings.filter(([name]) => name !== 'log_comment' && name !== 'readonly');
  const asked = request.settings.filter(([name]) => name === 'readonly');
  const mode: Pair[] = user.readonly ? [['readonly', '2']] : [];
  // An analyst's own settings come after readonly and the role, which hold them to their bounds. For the default
  // user readonly comes last, since it would refuse the rest.
  const first = [...limits, ...mode].map(assign);
  const then = own.map(assign);
  const params = request.params.map(([name, value]) => assign([`param_${name}`, value]));
  return [
    ...(request.roles.length > 0 ? [`SET ROLE ${request.roles.map(quoteName).join(', ')}`] : []),
    ...roleStatements(user),
    `SET ${[...first, assign(['log_comment', tagOf(request)])].join(', ')}`,
    ...(then.length > 0 ? [`SET ${then.join(', ')}`] : []),
    ...(params.length > 0 ? [`SET ${params.join(', ')}`] : []),
    ...(request.database ? [`USE ${quoteName(request.database)}`] : []),
    ...(asked.length > 0 ? [`SET ${asked.map(assign).join(', ')}`] : []),
  ].join('; ');
}

const STATISTICS = /"rows_read":\s*(\d+),\s*"bytes_read":\s*(\d+)/;
const NOTHING: Summary = {
  read_rows: 0,
  read_bytes: 0,
  written_rows: 0,
  written_bytes: 0,
  result_rows: 0,
  result_bytes: 0,
  elapsed_ns: 0,
};

/** Runs queries: waits for a place in a lane, prepares a connection, hands the result to the response. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #kills = new Set<Promise<void>>();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** @throws {ClickHouseException} with nothing sent, or part of the result sent. */
  async run(query: Query, response: QueryResponse): Promise<Summary> {
    const { queryId } = query.request;
    if (this.#running.has(queryId)) {
      throw new ClickHouseException(
        'QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING',
        `Query with id = ${queryId} is already running`,
      );
    }
    const work = this.#inLane(query, response);
    this.#running.set(queryId, work);
    try {
      return await work;
    } finally {
      this.#running.delete(queryId);
    }
  }

  /** Resolves when nothing uses the engine any more; to be awaited before it is closed. */
  async idle(): Promise<void> {
    while (this.#running.size + this.#kills.size > 0) {
      await Promise.allSettled([...this.#running.values(), ...this.#kills]);
    }
  }

  async #inLane(query: Query, response: QueryResponse): Promise<Summary> {
    const { sessions, engine } = this.#options;
    const leave = await this.#laneOf(query)?.enter(query.signal);
    try {
      // Tables that came along live as long as a connection, and need one that has taken on no role yet.
      const session = query.tables.length > 0 ? undefined : query.request.session;
      const lease = sessions.lease(query.user.name, session);
      try {
        const names = query.request.settings.map(([name]) => name);
        for (const table of query.tables) await createTable(engine, lease.connection, table);
        const undo = lease.inSession ? await restorePoint(engine, lease.connection, names) : '';
        try {
          await engine.query(lease.connection, preparation(query));
          return await this.#execute(lease.connection, query, response);
        } finally {
          if (undo && query.statement.kind !== 'use') await engine.query(lease.connection, undo).catch(() => undefined);
        }
      } finally {
        lease.release();
      }
    } finally {
      leave?.();
    }
  }

  #laneOf({ user, statement }: Query): Bulkhead | undefined {
    const { readers, analysts, writers } = this.#options;
    if (user.readonly) return analysts;
    // Killing must work when everything is busy: it takes no place.
    if (statement.kind === 'kill') return undefined;
    return statement.kind === 'result' ? readers : writers;
  }

  async #execute(connection: Connection, query: Query, response: QueryResponse): Promise<Summary> {
    const { statement } = query;
    switch (statement.kind) {
      case 'result':
        return this.#stream(connection, query, statement, response);
      case 'insert': {
        const source = ` FROM INFILE ${quote(query.dataFile ?? '')} `;
        return this.#write(connection, `${statement.head}${source}${statement.tail}`);
      }
      case 'insert-select':
        return this.#write(connection, statement.text);
      case 'kill': {
        const sql = statement.text;
        const byTag = sql.replace(QUERY_ID_CONDITION, "($& OR endsWith(Settings['log_comment'], $1))");
        return this.#plain(connection, byTag, query.format, response);
      }
      case 'set':
      case 'use':
      case 'other':
        return this.#plain(connection, statement.text, query.format, response);
    }
  }

  async #plain(connection: Connection, sql: string, format: string, response: QueryResponse): Promise<Summary> {
    const { bytes, elapsed } = await this.#options.engine.query(connection, sql, format);
    await response.write(Buffer.from(bytes));
    return { ...NOTHING, result_bytes: bytes.length, elapsed_ns: elapsed * 1e9 };
  }

  async #write(connection: Connection, sql: string): Promise<Summary> {
    try {
      const { rowsWritten, bytesWritten, elapsed } = await this.#options.engine.write(connection, sql);
      return { ...NOTHING, written_rows: rowsWritten, written_bytes: bytesWritten, elapsed_ns: elapsed * 1e9 };
    } catch (error) {
      // The server takes an insert of nothing for a success; this is what a local client says to it.
      if (fromEngine(error).code === NO_DATA_TO_INSERT) return NOTHING;
      throw error;
    }
  }

  async #stream(
    connection: Connection,
    query: Query,
    statement: Extract<Statement, { kind: 'result' }>,
    response: QueryResponse,
  ): Promise<Summary> {
    const pipe = this.#options.pipes.take();
    const outfile = ` INTO OUTFILE ${quote(pipe.path)} APPEND `;
    const sql = `${statement.head}${outfile}${statement.tail}`;
    const ended = this.#options.engine.query(connection, sql, query.format);
    let settled = false;
    const closing = ended.then(
      () => pipe.finish(),
      (error: unknown) => void pipe.reader.destroy(error as Error),
    );
    closing
      .finally(() => {
        settled = true;
      })
      .catch((error: unknown) => pipe.reader.destroy(error as Error));
    // The reading end stays open and read until the engine is done, whatever happens: without a reader it would wait
    // for one in open(2), and with a full pipe in write(2), where no kill reaches it.
    let failure: unknown;
    const stop = (reason: unknown) => {
      if (failure !== undefined) return;
      failure = reason;
      const kill = this.#kill(tagOf(query.request), () => settled);
      this.#kills.add(kill);
      void kill.finally(() => this.#kills.delete(kill));
    };
    const leave = () =>
      stop(new ClickHouseException('QUERY_WAS_CANCELLED', 'Query was cancelled: the client has gone'));
    query.signal.addEventListener('abort', leave, { once: true });
    if (query.signal.aborted) leave();
    try {
      for await (const chunk of pipe.reader) {
        if (failure === undefined) await response.write(chunk as Buffer).catch(stop);
      }
      const { elapsed, rowsRead, bytesRead } = await ended;
      if (failure !== undefined) throw failure;
      const statistics = STATISTICS.exec(response.heldTail);
      return {
        ...NOTHING,
        read_rows: Number(statistics?.[1] ?? rowsRead),
        read_bytes: Number(statistics?.[2] ?? bytesRead),
        result_rows: rowsRead,
        result_bytes: response.bytes,
        elapsed_ns: elapsed * 1e9,
      };
    } catch (error) {
      throw fromEngine(failure ?? error);
    } finally {
      query.signal.removeEventListener('abort', leave);
      await ended.catch(() => undefined);
      await pipe.release();
    }
  }

  /** Until the query has ended: it may not have been known to the engine yet when the first kill came. */
  async #kill(tag: string, settled: () => boolean): Promise<void> {
    while (!settled()) {
      await this.#options.engine.kill(tag).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, KILL_RETRY_MS));
    }
  }
}
