import { systemClock } from '../../services/core/clock.ts';
import { type ClickHouse, createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { visibleMessages } from '../open-loop/analytics.ts';
import type { ChaosOptions, ChaosReport } from './chaos-report.ts';
import { ClusterHand } from './cluster-hand.ts';
import { EnricherLog } from './enricher-log.ts';
import { reportOf, VERIFY_MS } from './findings.ts';
import { ForeignProducer } from './foreign-producer.ts';
import { Injector } from './injector.ts';
import { NlpApi } from './nlp-api.ts';
import { type ChaosEvent, planChaos, planEndMs } from './planner.ts';
import { Poison } from './poison.ts';
import { Recovery } from './recovery.ts';
import { describePlan } from './schedule-text.ts';
import { ChaosSystem } from './system.ts';
import { Traffic } from './traffic.ts';

export interface ChaosContext {
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

const POLL_MS = 250;
const QUERY_TIMEOUT_MS = 5_000;
const RECOVER_MS = 120_000;
const ACK_MS = 60_000;
/** Starting, the waits at the end, and reserve. */
const AROUND_MS = 600_000;

/** Bound of a whole run; on a busy machine the schedule slips. */
export const boundMs = (plan: readonly ChaosEvent[]): number =>
  3 * planEndMs(plan) + AROUND_MS + RECOVER_MS + ACK_MS + VERIFY_MS;

/** One run from nothing to verdict, on a stack of its own, of which nothing is left but its data folder after a violation. */
export async function runChaos(options: ChaosOptions, context: ChaosContext): Promise<ChaosReport> {
  const plan = planChaos(options);
  context.progress(describePlan(options.seed, plan));
  const system = await ChaosSystem.start(context.progress, options);
  let keep = false;
  try {
    context.signal.throwIfAborted();
    const report = await withParts(options, context, system, plan);
    keep = options.keep === true || !report.ok;
    return keep ? { ...report, logs: `${system.stack.dataDir}/logs` } : report;
  } finally {
    await system.stop({ keep });
  }
}

interface Surroundings extends ChaosContext {
  readonly system: ChaosSystem;
  readonly plan: readonly ChaosEvent[];
  readonly clickhouse: ClickHouse;
  readonly nlp: NlpApi;
  readonly enricherLog: EnricherLog;
  readonly poison: Poison;
  readonly cluster: ClusterHand;
  readonly foreign: ForeignProducer;
}

async function withParts(
  options: ChaosOptions,
  context: ChaosContext,
  system: ChaosSystem,
  plan: readonly ChaosEvent[],
): Promise<ChaosReport> {
  const { clickhouseUrl, nlpAdminUrl, kafkaBrokers, registryUrl } = system.stack.addresses;
  const brokers = kafkaBrokers.split(',');
  const log = createLogger('chaos', 'silent');
  const open = (requestTimeoutMs: number) =>
    createClickHouse({ url: clickhouseUrl, database: 'parley', log, requestTimeoutMs });
  const poison = await Poison.connect(brokers);
  const foreign = await ForeignProducer.connect(brokers, registryUrl, options.seed);
  const cluster = new ClusterHand(brokers);
  const [clickhouse, watcher] = [open(VERIFY_MS), open(QUERY_TIMEOUT_MS)];
  const [nlp, enricherLog] = [new NlpApi(nlpAdminUrl), new EnricherLog(kafkaBrokers)];
  const recovery = new Recovery({
    visible: (ids) => visibleMessages(watcher, ids),
    clock: systemClock,
    pollEveryMs: POLL_MS,
  });
  try {
    const around = { ...context, system, plan, clickhouse, nlp, enricherLog, poison, cluster, foreign };
    return await drive(options, around, recovery);
  } finally {
    await recovery.stop();
    await Promise.all([poison.close(), clickhouse.close(), watcher.close()]);
  }
}

async function drive(options: ChaosOptions, around: Surroundings, recovery: Recovery): Promise<ChaosReport> {
  const { system, plan, progress, signal } = around;
  const startedMs = systemClock.monotonicMs();
  const traffic = await Traffic.connect({
    url: system.gatewayUrl,
    keyPath: system.keyPath,
    bots: options.bots,
    ratePerS: options.rate,
    seed: options.seed,
    onSent: (id) => recovery.sent(id),
  });
  const ticker = setInterval(() => progress(`${traffic.sent} sent, ${traffic.acked.size} acked`), 10_000);
  const injector = new Injector({ ...around, recovery, clock: systemClock });
  try {
    recovery.start();
    traffic.start();
    await injector.run(plan, options.endMs ?? Number.POSITIVE_INFINITY);
    // Traffic goes on: a recovery is seen by messages that are sent after the fault.
    await until(() => recovery.open === 0, RECOVER_MS, signal);
    await traffic.finish(ACK_MS);
    await around.poison.settled();
    signal.throwIfAborted();
    return await reportOf(options, around, traffic, injector, startedMs);
  } finally {
    clearInterval(ticker);
    await traffic.close();
  }
}

async function until(holds: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadline = systemClock.monotonicMs() + timeoutMs;
  while (!holds() && !signal.aborted && systemClock.monotonicMs() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
