import { ParleyError } from '../core/errors.ts';
import {
  type ClickHouse,
  clickHouseErrorCode,
  createClickHouse,
  unreachable,
} from '../platform/clickhouse/clickhouse.ts';
import { createLogger } from '../platform/logger.ts';
import type { OperatorSettings } from './settings.ts';

/** A recount reads whole tables. */
const REQUEST_TIMEOUT_MS = 300_000;
/** UNKNOWN_TABLE, UNKNOWN_DATABASE. */
const NO_TABLES = new Set([60, 81]);

/**
 * Runs `work` with a client that is closed afterwards.
 *
 * @throws {ParleyError} CLICKHOUSE_UNREACHABLE; CLICKHOUSE_SCHEMA where the tables have not been made yet.
 */
export async function withClickHouse<T>(
  settings: OperatorSettings,
  work: (client: ClickHouse) => Promise<T>,
): Promise<T> {
  const { CLICKHOUSE_URL: url, CLICKHOUSE_DATABASE: database } = settings;
  const client = createClickHouse({
    url,
    database,
    username: settings.CLICKHOUSE_USER,
    password: settings.CLICKHOUSE_PASSWORD,
    cluster: settings.CLICKHOUSE_CLUSTER,
    log: createLogger('parley', 'silent'),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  });
  try {
    return await work(client);
  } catch (error) {
    const away = unreachable(error);
    if (away) {
      const advice = 'Start the stack with npm start, or set CLICKHOUSE_URL.';
      throw new ParleyError('CLICKHOUSE_UNREACHABLE', `${url}: ${away.message}. ${advice}`, { cause: error });
    }
    if (NO_TABLES.has(clickHouseErrorCode(error) ?? 0)) {
      const text = `The database ${database} at ${url} lacks Parley's tables; the sink makes them when it starts.`;
      throw new ParleyError('CLICKHOUSE_SCHEMA', text, { cause: error });
    }
    throw error;
  } finally {
    await client.close();
  }
}
