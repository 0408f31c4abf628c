import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A connection of its own: settings, parameters, temporary tables and roles of one are unknown to the others. */
export type Connection = { readonly connection: unique symbol };

export interface QueryOutcome {
  readonly bytes: Uint8Array;
  readonly elapsed: number;
  readonly rowsRead: number;
  readonly bytesRead: number;
}

export interface InsertOutcome {
  readonly elapsed: number;
  readonly rowsWritten: number;
  readonly bytesWritten: number;
}

/**
 * chdb's native addon, below its `Session` class: the same calls that `Session` makes, without its one-stream rule,
 * its list of insert formats and its process-wide chain for bound parameters. Each promise is a libuv thread while it
 * runs; a connection must not be closed while one of its calls runs.
 */
export interface NativeEngine {
  CreateConnection(path: string, args?: readonly string[]): Connection;
  CloseConnection(connection: Connection): void;
  QueryAsyncConnection(connection: Connection, sql: string, format: string): Promise<QueryOutcome>;
  /** Runs `prefix` followed by `data`, and tells what was written; it returns no result. */
  InsertRawAsyncConnection(
    connection: Connection,
    prefix: string,
    data: Uint8Array,
    countLines: boolean,
  ): Promise<InsertOutcome>;
}

const NEEDED: readonly (keyof NativeEngine)[] = [
  'CreateConnection',
  'CloseConnection',
  'QueryAsyncConnection',
  'InsertRawAsyncConnection',
];

/** Loads the engine (0.5 GB mapped, 0.2 s) with chdb's own loader, which knows the platform's package. */
export function loadNativeEngine(): NativeEngine {
  const require = createRequire(import.meta.url);
  const home = dirname(require.resolve('chdb/package.json'));
  const { loadNative } = require(join(home, 'dist', 'loader.js')) as { loadNative: () => NativeEngine };
  const native = loadNative();
  const missing = NEEDED.filter((name) => typeof native[name] !== 'function');
  if (missing.length > 0) throw new Error(`this version of chdb lacks ${missing.join(', ')}`);
  return native;
}
