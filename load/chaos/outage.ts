import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../services/core/clock.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import { createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../services/platform/kafka/read/cluster-view.ts';
import { groupNames, topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import type { VerifyReport } from '../../services/verify/verify.ts';
import { Memory, type MemoryPeak } from '../kit/memory.ts';
import type { ChaosContext } from './run.ts';
import { ChaosSystem } from './system.ts';
import { Traffic } from './traffic.ts';
import { judge } from './verdict.ts';

export interface OutageOptions {
  readonly seed: number;
  /** Messages a second over all bots. */
  readonly rate: number;
  readonly bots: number;
  /** How long ClickHouse is away. */
  readonly awayMs: number;
  readonly keep?: boolean;
}

export interface OutageReport {
  readonly ok: boolean;
  readonly seed: number;
  readonly violations: readonly string[];
  readonly away_s: number;
  readonly sent: number;
  readonly acked: number;
  /** While ClickHouse was away. */
  readonly away: { readonly sent: number; readonly enriched: number };
  /** Outcomes that the sink had before it when ClickHouse came back. */
  readonly backlog: number;
  /** From its return until the sink had caught up, with traffic going on. */
  readonly caught_up_s: number;
  readonly memory: readonly MemoryPeak[];
  readonly verify: VerifyReport;
  readonly logs: string | null;
}

/** So that the memory of the gateway is that of one process. */
const ONE_PROCESS = { GATEWAY_WORKERS: '1' };
/** With everything warm, and before anything breaks. */
const WARM_UP_MS = 15_000;
const CATCH_UP_MS = 180_000;
const ACK_MS = 60_000;
const VERIFY_MS = 120_000;
/** Share of what is sent meanwhile that has to be enriched meanwhile: the rest is in flight at the two ends. */
const GOES_ON = 0.9;
/** Bound of a service's resident memory during an outage: Node itself, its buffers' bounds, and what the collector leaves. */
const MEMORY_BOUND_MIB = 512;

/** Steady traffic, ClickHouse killed and away for long, then back: what goes on meanwhile, and what is there afterwards. */
export async function runOutage(options: OutageOptions, context: ChaosContext): Promise<OutageReport> {
  const system = await ChaosSystem.start(context.progress, { brokers: 1, env: ONE_PROCESS });
  let keep = false;
  try {
    const report = await withTraffic(options, context, system);
    keep = options.keep === true || !report.ok;
    return keep ? { ...report, logs: `${system.stack.dataDir}/logs` } : report;
  } finally {
    await system.stop({ keep });
  }
}

async function withTraffic(options: OutageOptions, context: ChaosContext, system: ChaosSystem): Promise<OutageReport> {
  const { seed, bots, rate: ratePerS } = options;
  const { gatewayUrl: url, keyPath } = system;
  const traffic = await Traffic.connect({ url, keyPath, bots, ratePerS, seed, onSent: () => {} });
  const memory = new Memory(system.stack.parts, ['gateway-1', 'enricher-1', 'enricher-2', 'sink-1', 'sink-2']);
  const log = new Log(system.stack.addresses.kafkaBrokers.split(','));
  try {
    traffic.start();
    const found = await drive(options, context, system, { traffic, memory, log });
    await traffic.finish(ACK_MS);
    return await reportOf(options, context, system, { traffic, memory, found });
  } finally {
    memory.stop();
    await Promise.all([log.close(), traffic.close()]);
  }
}

interface Found {
  readonly sent: number;
  readonly enriched: number;
  readonly backlog: number;
  readonly caughtUpMs: number;
}

async function drive(
  { awayMs }: OutageOptions,
  { progress, signal }: ChaosContext,
  system: ChaosSystem,
  { traffic, memory, log }: { traffic: Traffic; memory: Memory; log: Log },
): Promise<Found> {
  const clickhouse = await system.part('clickhouse');
  await sleep(WARM_UP_MS, undefined, { signal });
  memory.begin('before');
  await sleep(WARM_UP_MS, undefined, { signal });
  memory.begin('away');
  await clickhouse.kill();
  const [sent, enriched] = [traffic.sent, await log.enriched()];
  progress(`ClickHouse is away for ${awayMs / 1_000} s; ${sent} sent, ${enriched} enriched so far`);
  await sleep(awayMs, undefined, { signal });
  const backlog = await log.backlog();
  const during = { sent: traffic.sent - sent, enriched: (await log.enriched()) - enriched, backlog };
  memory.begin('after');
  progress(`ClickHouse returns; ${during.sent} sent and ${during.enriched} enriched meanwhile`);
  const returned = systemClock.monotonicMs();
  await clickhouse.start();
  await eventually(
    async () => {
      signal.throwIfAborted();
      const left = await log.backlog();
      // Traffic goes on: about what two blocks of each partition hold is always on its way.
      if (left > Math.max(100, backlog / 20)) throw new Error(`the sink has ${left} outcomes before it`);
    },
    { timeoutMs: CATCH_UP_MS },
  );
  const caughtUpMs = systemClock.monotonicMs() - returned;
  progress(`caught up after ${Math.round(caughtUpMs / 1_000)} s`);
  return { ...during, caughtUpMs };
}

async function reportOf(
  { seed, awayMs }: OutageOptions,
  { progress, signal }: ChaosContext,
  system: ChaosSystem,
  { traffic, memory, found }: { traffic: Traffic; memory: Memory; found: Found },
): Promise<OutageReport> {
  const { clickhouseUrl: url, kafkaBrokers } = system.stack.addresses;
  const log = createLogger('chaos', 'silent');
  const clickhouse = createClickHouse({ url, database: 'parley', log, requestTimeoutMs: VERIFY_MS });
  const { acked, unsettled } = traffic;
  const brokers = kafkaBrokers.split(',');
  const judged = await judge({ brokers, clickhouse, acked, poison: [], waitMs: VERIFY_MS, signal, progress }).finally(
    () => clickhouse.close(),
  );
  const peaks = memory.peaks();
  const violations = [
    ...(unsettled > 0 ? [`${unsettled} messages were neither acked nor refused`] : []),
    ...(found.enriched < GOES_ON * found.sent
      ? [`of ${found.sent} messages sent while ClickHouse was away ${found.enriched} were enriched meanwhile`]
      : []),
    ...peaks
      .filter(({ away_mib, after_mib }) => Math.max(away_mib, after_mib) > MEMORY_BOUND_MIB)
      .map(({ part, away_mib, after_mib }) => `${part} took ${Math.max(away_mib, after_mib)} MiB of memory`),
    ...judged.violations,
  ];
  return {
    ok: violations.length === 0,
    seed,
    violations,
    away_s: awayMs / 1_000,
    sent: traffic.sent,
    acked: acked.size,
    away: { sent: found.sent, enriched: found.enriched },
    backlog: found.backlog,
    caught_up_s: Math.round(found.caughtUpMs / 100) / 10,
    memory: peaks,
    verify: judged.verify,
    logs: null,
  };
}

/** How far the enricher and the sink have come. */
class Log {
  readonly #view: Promise<ClusterView>;

  constructor(brokers: readonly string[]) {
    const log = createLogger('chaos', 'silent');
    this.#view = ClusterView.connect(createKafka({ brokers: [...brokers], clientId: 'chaos-outage', log }), brokers);
  }

  /** Records of `chat.events` that are done with: `chat.enriched` itself holds early answers too. */
  async enriched(): Promise<number> {
    return await this.#committed(groupNames().enricher, topicNames().events);
  }

  /** Records of `chat.enriched` that the sink has not committed. */
  async backlog(): Promise<number> {
    const ranges = await (await this.#view).logRanges(topicNames().enriched);
    const standing = ranges.reduce((sum, { end }) => sum + end, 0);
    return standing - (await this.#committed(groupNames().sink, topicNames().enriched));
  }

  async #committed(group: string, topic: string): Promise<number> {
    const committed = await (await this.#view).committed(group, topic);
    return [...committed.values()].reduce((sum, offset) => sum + offset, 0);
  }

  async close(): Promise<void> {
    await (await this.#view).close();
  }
}
