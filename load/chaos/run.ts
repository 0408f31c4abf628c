import { systemClock } from '../../services/core/clock.ts';
import { type ClickHouse, createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { createLogger } from '../../services/platform/logger.ts';
import type { VerifyReport } from '../../services/replay/verify.ts';
import { visibleMessages } from '../analytics.ts';
import { EnricherLog } from './enricher-log.ts';
import { Injector } from './injector.ts';
import type { KillAccount } from './kill-account.ts';
import { NlpApi } from './nlp-api.ts';
import { type ChaosEvent, planChaos, planEndMs } from './plan.ts';
import { describePlan } from './plan-table.ts';
import { Poison } from './poison.ts';
import { Recovery } from './recovery.ts';
import { type CountedEvent, countRepeats } from './repeats.ts';
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
  /** 1 or 3. */
  readonly brokers: number;
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
  readonly events: readonly CountedEvent[];
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
    /** Documents sent to the NLP API. */
    readonly sent: number;
    /** Those that had been sent before; of messages that stand in the log more than once, none is counted. */
    readonly repeated: number;
  };
  /** One for each `kill -9` of an enricher. */
  readonly kills: readonly KillAccount[];
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
  const poison = await Poison.connect(kafkaBrokers.split(','));
  const [clickhouse, watcher] = [open(VERIFY_MS), open(QUERY_TIMEOUT_MS)];
  const [nlp, enricherLog] = [new NlpApi(nlpAdminUrl), new EnricherLog(kafkaBrokers)];
  const recovery = new Recovery({
    visible: (ids) => visibleMessages(watcher, ids),
    clock: systemClock,
    pollEveryMs: POLL_MS,
  });
  try {
    return await drive(options, { ...context, system, plan, clickhouse, nlp, enricherLog, poison }, recovery);
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
    await injector.run(plan);
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

async function reportOf(
  options: ChaosOptions,
  { system, clickhouse, enricherLog, poison, signal, progress }: Surroundings,
  traffic: Traffic,
  injector: Injector,
  startedMs: number,
): Promise<ChaosReport> {
  const brokers = system.stack.addresses.kafkaBrokers.split(',');
  const { acked } = traffic;
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
  const { repeated, kills, events } = countRepeats(injector, system.calls, await enricherLog.outcomes());
  const crashed = [...system.stack.parts.values()].filter(({ crashes }) => crashes > 0);
  const violations = [
    ...trafficViolations(traffic),
    ...eventViolations(events),
    ...killViolations(kills),
    ...judged.violations,
  ];
  return {
    ok: violations.length === 0,
    seed: options.seed,
    repeat: commandOf(options),
    violations,
    events,
    duration_s: Math.round((systemClock.monotonicMs() - startedMs) / 1_000),
    sent: traffic.sent,
    acked: acked.size,
    resent: traffic.resent,
    reconnects: traffic.reconnects,
    poison: poison.values.length,
    dead_letters: judged.deadLetters,
    nlp_calls: { sent: system.calls.count, repeated },
    kills,
    ended_by_themselves: Object.fromEntries(crashed.map(({ name, crashes }) => [name, crashes])),
    verify: judged.verify,
    logs: null,
  };
}

const commandOf = ({ seed, events, gapMs, rate, bots, brokers }: ChaosOptions): string =>
  `npm run chaos -- --seed ${seed} --events ${events} --gap ${gapMs}ms --rate ${rate} --bots ${bots}` +
  (brokers === 1 ? '' : ` --brokers ${brokers}`);

const trafficViolations = ({ unsettled, refused }: Traffic): string[] => [
  ...(unsettled > 0 ? [`${unsettled} messages were neither acked nor refused`] : []),
  ...Object.entries(refused).map(([code, count]) => `${count} messages were refused with ${code}`),
];

const eventViolations = (events: readonly CountedEvent[]): string[] => [
  ...events.filter(({ failure }) => failure).map(({ number, failure }) => `event ${number} failed: ${failure}`),
  ...events
    .filter(({ recovery_ms, failure }) => recovery_ms === null && failure === null)
    .map(({ number }) => `after event ${number} nothing moved again`),
];

const killViolations = (kills: readonly KillAccount[]): string[] =>
  kills
    .filter(({ unexplained }) => unexplained.length > 0)
    .map(
      ({ event, life, unexplained }) =>
        `the kill of ${life} (event ${event}) repeated ${unexplained.length} calls that were committed: ${unexplained.slice(0, 5).join(', ')}`,
    );

async function until(holds: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadline = systemClock.monotonicMs() + timeoutMs;
  while (!holds() && !signal.aborted && systemClock.monotonicMs() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
