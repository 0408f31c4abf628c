import { systemClock } from '../../../services/core/clock.ts';
import { eventually } from '../../../services/core/testing/eventually.ts';
import { createClickHouse } from '../../../services/platform/clickhouse/clickhouse.ts';
import { createLogger } from '../../../services/platform/logger.ts';
import { verifySources } from '../../../services/verify/sources.ts';
import { verify } from '../../../services/verify/verify.ts';
import type { Bench, RunContext } from '../bench.ts';
import { atMost, type Finding } from './scenario.ts';

const REQUEST_TIMEOUT_MS = 60_000;
const SINK_START_MS = 30_000;

/**
 * Lets a sink read the whole log into a database of its own, then `parley verify`: receipts, facts and rollups against
 * the log and a recount. After the run rather than during it, so that ClickHouse does not take the CPU that is measured.
 */
export async function checkRollups(
  bench: Bench,
  { stack, signal, progress }: RunContext,
  limitMs: number,
): Promise<Finding[]> {
  const database = `bench_${bench.topics.prefix.replace(/\W/g, '')}`;
  await bench.start('sink', { CLICKHOUSE_URL: stack.clickhouseUrl, CLICKHOUSE_DATABASE: database });
  const clickhouse = createClickHouse({
    url: stack.clickhouseUrl,
    database,
    log: createLogger('bench', 'silent'),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  });
  try {
    // The sink makes its tables when it starts.
    await eventually(() => clickhouse.query('SELECT 1 FROM messages LIMIT 1'), { timeoutMs: SINK_START_MS });
    const { ok, topics, violations } = await verify(verifySources(bench.view, clickhouse, bench.topics.prefix), {
      clock: systemClock,
      waitMs: limitMs,
      signal,
      progress: (line) => progress(`verify: ${line}`),
    });
    const missing = Object.values(topics).reduce((sum, topic) => sum + topic.missing, 0);
    return [
      atMost('verify not ok', ok ? 0 : 1, 0),
      atMost('records without a receipt', missing, 0),
      atMost('rollups that differ from a recount', violations.rollup_mismatches ?? Number.NaN, 0),
    ];
  } finally {
    await clickhouse.command(`DROP DATABASE IF EXISTS ${database}`);
    await clickhouse.close();
  }
}
