import { LRUCache } from 'lru-cache';
import { quote } from '../platform/clickhouse/sql-statements.ts';
import type { User } from './access.ts';
import { Bulkhead } from './bulkhead.ts';
import type { Engine } from './engine.ts';
import { ClickHouseException } from './exception.ts';
import type { Connection } from './native.ts';

/** Statements printed at once for each user: each holds a thread of libuv while the engine parses it. */
export const PRINTS_AT_ONCE = 2;
/** 1,000 dollar signs: the engine looks for the end of a heredoc from each, 1,000 × 1 MiB is 0.1 s and 10,000 are 4 s. */
const MAX_DOLLARS = 1_000;
/** A statement has at most 1 MiB, and its literal at most twice that. */
const MAX_QUERY_SIZE = 4 * 1024 * 1024;
/** 8 MiB of texts and what they print as; longer ones than 16 KiB (lists of keys) do not come twice. */
const CACHE_CHARACTERS = 4 * 1024 * 1024;
const MAX_CACHED_CHARACTERS = 16 * 1024;
const WRAPPER = ': In scope SELECT formatQuerySingleLine(';

/**
 * Lets the engine print a statement as it understood it: one statement, no comments, no heredocs, names quoted where
 * needed, keywords in upper case. That text is what is judged, and that text is what runs, so that no difference
 * between the engine's lexer and ours decides anything. Costs 1 ms, and nothing for a text seen before.
 */
export class StatementPrinter {
  readonly #engine: Engine;
  readonly #queue: number;
  readonly #lanes = new Map<string, Bulkhead>();
  readonly #idle: Connection[] = [];
  readonly #printed = new LRUCache<string, string>({
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: (printed, text) => printed.length + text.length + 1,
  });

  /** @param queue how many statements of one user may wait to be printed. */
  constructor(engine: Engine, queue: number) {
    this.#engine = engine;
    this.#queue = queue;
  }

  /** @throws {ClickHouseException} SYNTAX_ERROR in the engine's words; BAD_ARGUMENTS, TOO_MANY_SIMULTANEOUS_QUERIES. */
  async print(user: User, text: string, signal: AbortSignal): Promise<string> {
    const known = this.#printed.get(text);
    if (known !== undefined) return known;
    if (text.split('$', MAX_DOLLARS + 2).length > MAX_DOLLARS + 1) {
      throw new ClickHouseException('BAD_ARGUMENTS', `A statement has at most ${MAX_DOLLARS} dollar signs here`);
    }
    const leave = await this.#laneOf(user).enter(signal);
    try {
      const printed = await this.#ask(text);
      if (text.length <= MAX_CACHED_CHARACTERS) this.#printed.set(text, printed);
      return printed;
    } finally {
      leave();
    }
  }

  #laneOf({ name }: User): Bulkhead {
    const lane = this.#lanes.get(name) ?? new Bulkhead('parse', { concurrency: PRINTS_AT_ONCE, queue: this.#queue });
    this.#lanes.set(name, lane);
    return lane;
  }

  async #ask(text: string): Promise<string> {
    const connection = this.#idle.pop() ?? (await this.#open());
    try {
      const sql = `SELECT formatQuerySingleLine(${quote(text)})`;
      const { bytes } = await this.#engine.query(connection, sql, 'TabSeparatedRaw');
      return Buffer.from(bytes).toString().replace(/\n$/, '');
    } catch (error) {
      if (!(error instanceof ClickHouseException)) throw error;
      const [message = ''] = error.message.split(WRAPPER, 1);
      throw new ClickHouseException(error, message, { cause: error });
    } finally {
      this.#idle.push(connection);
    }
  }

  async #open(): Promise<Connection> {
    const connection = this.#engine.connect();
    await this.#engine.query(connection, `SET max_query_size = ${MAX_QUERY_SIZE}`);
    return connection;
  }

  /** Closes the connections; called when no request runs any more. */
  close(): void {
    for (const connection of this.#idle.splice(0)) this.#engine.disconnect(connection);
  }
}
