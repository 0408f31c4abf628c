import { type Metrics, type MetricsSnapshot, mergeSnapshots, totalsOf } from '../../platform/metrics.ts';
import type { Member } from './member.ts';
import type { WorkerPool } from './pool.ts';

const TIMEOUT_MS = 2_000;

/**
 * The metrics of all workers as those of one service. The counts of workers that have ended stay in the totals (those of
 * a killed worker as of its last answer), so that no counter ever goes back.
 */
export class PoolMetrics {
  readonly #metrics: Metrics;
  readonly #pool: WorkerPool;
  #retired: Promise<MetricsSnapshot> = Promise.resolve([]);
  readonly #deaths: { inc(): void };

  constructor(metrics: Metrics, pool: WorkerPool, maxConnections: number) {
    this.#metrics = metrics;
    this.#pool = pool;
    this.#deaths = metrics.counter('parley_gateway_worker_deaths_total', 'Workers that ended by themselves');
    metrics.gauge('parley_gateway_connections_max', 'Sockets that may be open at once', [], (gauge) =>
      gauge.set(maxConnections),
    );
    metrics.gauge('parley_gateway_workers', 'Workers by state', ['state'], (gauge) => {
      const members = pool.members;
      for (const state of ['starting', 'up', 'retiring'] as const) {
        gauge.set({ state }, members.filter((member) => member.state === state).length);
      }
    });
  }

  async text(): Promise<string> {
    await Promise.all(
      this.#pool.members.map(async (member) => {
        // A worker that does not answer counts with its last answer.
        member.lastMetrics = await member.channel
          .request<MetricsSnapshot>('metrics', null, TIMEOUT_MS)
          .catch(() => member.lastMetrics);
      }),
    );
    const answers = this.#pool.members.flatMap(({ lastMetrics }) => (lastMetrics ? [lastMetrics] : []));
    return await mergeSnapshots([await this.#metrics.snapshot(), await this.#retired, ...answers]).text();
  }

  retire(member: Member): void {
    if (!member.wasRetired) this.#deaths.inc();
    const { lastMetrics } = member;
    if (!lastMetrics) return;
    this.#retired = this.#retired.then((earlier) => mergeSnapshots([earlier, totalsOf(lastMetrics)]).snapshot());
  }
}
