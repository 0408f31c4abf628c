import { quote, quoteName } from '../platform/clickhouse/sql-statements.ts';
import type { Engine } from './engine.ts';
import { ClickHouseException } from './exception.ts';
import type { Connection } from './native.ts';
import type { SessionRequest } from './request.ts';

interface Session {
  readonly connection: Connection;
  busy: boolean;
  expiry: NodeJS.Timeout | undefined;
}

/** A connection for one request: of its own, or a session's, which is then locked for other requests. */
export interface Lease {
  readonly connection: Connection;
  readonly inSession: boolean;
  readonly release: () => void;
}

/**
 * Named sessions: a connection that outlives its requests, so that temporary tables and `SET` last. Bounded in number
 * for each user, and in idle time. A session belongs to its user.
 */
export class Sessions {
  readonly #engine: Engine;
  readonly #max: number;
  readonly #sessions = new Map<string, Session>();

  constructor(engine: Engine, max: number) {
    this.#engine = engine;
    this.#max = max;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** @throws {ClickHouseException} SESSION_NOT_FOUND, SESSION_IS_LOCKED, TOO_MANY_SIMULTANEOUS_QUERIES. */
  lease(user: string, request: SessionRequest | undefined): Lease {
    if (!request) {
      const connection = this.#engine.connect();
      return { connection, inSession: false, release: () => this.#engine.disconnect(connection) };
    }
    const key = keyOf(user, request.id);
    const session = this.#sessions.get(key) ?? this.#open(user, request);
    if (session.busy) {
      throw new ClickHouseException('SESSION_IS_LOCKED', `Session ${request.id} is locked by a concurrent client`);
    }
    session.busy = true;
    clearTimeout(session.expiry);
    const release = () => {
      session.busy = false;
      if (request.close) return this.#close(key);
      session.expiry = setTimeout(() => this.#close(key), request.timeoutS * 1_000);
      session.expiry.unref();
    };
    return { connection: session.connection, inSession: true, release };
  }

  #open(user: string, request: SessionRequest): Session {
    if (request.check) throw new ClickHouseException('SESSION_NOT_FOUND', `Session ${request.id} not found`);
    const own = [...this.#sessions.keys()].filter((key) => key.startsWith(keyOf(user, '')));
    if (own.length >= this.#max) {
      const text = `Too many sessions of ${user}. Maximum: ${this.#max}; close one (close_session=1) or let it time out`;
      throw new ClickHouseException('TOO_MANY_SIMULTANEOUS_QUERIES', text);
    }
    const session: Session = { connection: this.#engine.connect(), busy: false, expiry: undefined };
    this.#sessions.set(keyOf(user, request.id), session);
    return session;
  }

  #close(key: string): void {
    const session = this.#sessions.get(key);
    if (!session || session.busy) return;
    clearTimeout(session.expiry);
    this.#sessions.delete(key);
    this.#engine.disconnect(session.connection);
  }

  /** Closes all that are idle; called when no request runs any more. */
  close(): void {
    for (const key of [...this.#sessions.keys()]) this.#close(key);
  }
}

/** User names hold no line feeds. */
const keyOf = (user: string, id: string): string => `${user}\n${id}`;

/**
 * What undoes a request's own settings in a session, where only the statement `SET` may last: to be run after the
 * request. Empty when there is nothing to undo.
 */
export async function restorePoint(engine: Engine, connection: Connection, names: readonly string[]): Promise<string> {
  const list = names.map(quote).join(', ') || "''";
  const sql = `SELECT currentDatabase() AS db, (SELECT groupArray((name, value, changed)) FROM system.settings
    WHERE name IN (${list})) AS settings`;
  const { bytes } = await engine.query(connection, sql, 'JSONCompactEachRow');
  const [database, settings] = JSON.parse(Buffer.from(bytes).toString()) as [string, [string, string, number][]];
  const sets = settings.map(([name, value, changed]) => `${name} = ${changed ? quote(value) : 'DEFAULT'}`);
  return [`USE ${quoteName(database)}`, ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : [])].join('; ');
}
