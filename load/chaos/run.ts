import { systemClock } from '../../services/core/clock.ts';
import { type ClickHouse, createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { createLogger } from '../../services/platform/logger.ts';
import type { VerifyReport } from '../../services/replay/verify.ts';
import { visibleMessages } from '../analytics.ts';
import { type EventResult, Injector } from './injector.ts';
import { NlpApi } from './nlp-api.ts';
import { type ChaosEvent, planChaos, planEndMs } from './plan.ts';
import { describePlan } from './plan-table.ts';
import { Poison } from './poison.ts';
import { Recovery } from './recovery.ts';
import { ChaosSystem } from './system.ts';
import { Traffic } from './traffic.ts';
import { judge } from './verdict.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly events: number;
  readonly gapMs: number;
  /** Messages a second over all bots. */
  readonly rate: number;
  readonly bots: number;
  /** Leave the data folder with all logs, as after a violation. */
  readonly keep?: boolean;
}

export interface ChaosContext {
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface ChaosReport {
  readonly ok: boolean;
  readonly seed: number;
  /** Repeats the run's schedule. */
  readonly repeat: string;
  readonly violations: readonly string[];
  readonly events: readonly EventResult[];
  readonly duration_s: number;
  readonly sent: number;
  readonly acked: number;
  /** By the bots, after a lost connection. */
  readonly resent: number;
  readonly reconnects: number;
  readonly poison: number;
  /** Distinct source records. */
  readonly dead_letters: number;
  readonly nlp_calls: {
    /** Documents that the NLP API analysed; at least, see docs/chaos.md. */
    readonly analysed: number;
    /** Records that needed one call each. */
    readonly needed: number;
    readonly repeated: number;
  };
  /** Ends of processes that nobody had ordered, by part; they were started again. */
  readonly ended_by_themselves: Readonly<Record<string, number>>;
  readonly verify: VerifyReport;
  /** Where the logs are, if they were kept. */
  readonly logs: string | null;
}

const POLL_MS = 250;
const QUERY_TIMEOUT_MS = 5_000;
const RECOVER_MS = 120_000;
const ACK_MS = 60_000;
const VERIFY_MS = 120_000;
/** Starting, the waits at the end, and reserve. */
const AROUND_MS = 300_000;

/** Whatever hangs, a run is over after this. */
export const boundMs = (plan: readonly ChaosEvent[]): number =>
  planEndMs(plan) + AROUND_MS + RECOVER_MS + ACK_MS + VERIFY_MS;

/** One run from nothing to verdict, on a stack of its own, of which nothing is left but its data folder after a violation. */
export async function runChaos(options: ChaosOptions, context: ChaosContext): Promise<ChaosReport> {
  const plan = planChaos(options);
  context.progress(describePlan(options.seed, plan));
  const system = await ChaosSystem.start(context.progress);
  let keep = false;
  try {
    context.signal.throwIfAborted();
    const report = await withParts(options, context, system, plan);
    keep = options.keep === true || !report.ok;
    return keep ? { ...report, logs: `${system.stack.dataDir}/logs` } : report;
  } finally {
    await system.stack.stop({ keep });
  }
}

interface Surroundings extends ChaosContext {
  readonly system: ChaosSystem;
  readonly plan: readonly ChaosEvent[];
  readonly clickhouse: ClickHouse;
  readonly nlp: NlpApi;
  readonly poison: Poison;
}

async function withParts(
  options: ChaosOptions,
  context: ChaosContext,
  system: ChaosSystem,
  plan: readonly ChaosEvent[],
): Promise<ChaosReport> {
  const { clickhouseUrl, nlpAdminUrl, kafkaBrokers } = system.stack.addresses;
  const log = createLogger('chaos', 'silent');
  const open = (requestTimeoutMs: number) =>
    createClickHouse({ url: clickhouseUrl, database: 'parley', log, requestTimeoutMs });
  const poison = await Poison.connect(kafkaBrokers);
  const [clickhouse, watcher] = [open(VERIFY_MS), open(QUERY_TIMEOUT_MS)];
  const nlp = new NlpApi(nlpAdminUrl);
  const recovery = new Recovery({
    visible: (ids) => visibleMessages(watcher, ids),
    clock: systemClock,
    pollEveryMs: POLL_MS,
  });
  try {
    return await drive(options, { ...context, system, plan, clickhouse, nlp, poison }, recovery);
  } finally {
    nlp.close();
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
    await injector.run(plan);
    // Traffic goes on: a recovery is seen by messages that are sent after the fault.
    await until(() => recovery.open === 0, RECOVER_MS, signal);
    await traffic.finish(ACK_MS);
    await around.poison.settled();
    signal.throwIfAborted();
    return await reportOf(options, around, traffic, injector.results, startedMs);
  } finally {
    clearInterval(ticker);
    await traffic.close();
  }
}

async function reportOf(
  { seed, events, gapMs, rate, bots }: ChaosOptions,
  { system, clickhouse, nlp, poison, signal, progress }: Surroundings,
  traffic: Traffic,
  results: readonly EventResult[],
  startedMs: number,
): Promise<ChaosReport> {
  const brokers = system.stack.addresses.kafkaBrokers;
  const { acked, unsettled, refused } = traffic;
  const judged = await judge({
    brokers,
    clickhouse,
    acked,
    poison: poison.values,
    waitMs: VERIFY_MS,
    signal,
    progress,
  });
  signal.throwIfAborted();
  await nlp.sample();
  const { enriched, duplicate_receipts, degraded } = judged.verify.topics['chat.events'];
  const needed = enriched + degraded + duplicate_receipts;
  const crashed = [...system.stack.parts.values()].filter(({ crashes }) => crashes > 0);
  const violations = [
    ...(unsettled > 0 ? [`${unsettled} messages were neither acked nor refused`] : []),
    ...Object.entries(refused).map(([code, count]) => `${count} messages were refused with ${code}`),
    ...results.filter(({ failure }) => failure).map(({ number, failure }) => `event ${number} failed: ${failure}`),
    ...results.filter((result) => lasted(result)).map(({ number }) => `after event ${number} nothing moved again`),
    ...judged.violations,
  ];
  return {
    ok: violations.length === 0,
    seed,
    repeat: `npm run chaos -- --seed ${seed} --events ${events} --gap ${gapMs}ms --rate ${rate} --bots ${bots}`,
    violations,
    events: results,
    duration_s: Math.round((systemClock.monotonicMs() - startedMs) / 1_000),
    sent: traffic.sent,
    acked: acked.size,
    resent: traffic.resent,
    reconnects: traffic.reconnects,
    poison: poison.values.length,
    dead_letters: judged.deadLetters,
    nlp_calls: { analysed: nlp.analysed, needed, repeated: nlp.analysed - needed },
    ended_by_themselves: Object.fromEntries(crashed.map(({ name, crashes }) => [name, crashes])),
    verify: judged.verify,
    logs: null,
  };
}

const lasted = ({ recovery_ms, failure }: EventResult): boolean => recovery_ms === null && failure === null;

async function until(holds: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadline = systemClock.monotonicMs() + timeoutMs;
  while (!holds() && !signal.aborted && systemClock.monotonicMs() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
