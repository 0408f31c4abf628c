import { systemClock } from '../../services/core/clock.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import type { ChaosOptions, ChaosReport } from './chaos-report.ts';
import type { EnricherLog } from './enricher-log.ts';
import type { ForeignProducer } from './foreign-producer.ts';
import type { Injector } from './injector.ts';
import type { KillAccount } from './kill-account.ts';
import type { Poison } from './poison.ts';
import { type CountedEvent, countRepeats } from './repeats.ts';
import type { ChaosSystem } from './system.ts';
import type { Traffic } from './traffic.ts';
import { judge } from './verdict.ts';

/** Where a run left its traces. */
interface Evidence {
  readonly system: ChaosSystem;
  readonly clickhouse: ClickHouse;
  readonly enricherLog: EnricherLog;
  readonly poison: Poison;
  readonly foreign: ForeignProducer;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** How long a verdict waits for what is in flight. */
export const VERIFY_MS = 120_000;

/** What came of a run, once its traffic has ended. */
export async function reportOf(
  options: ChaosOptions,
  { system, clickhouse, enricherLog, poison, foreign, signal, progress }: Evidence,
  traffic: Traffic,
  injector: Injector,
  startedMs: number,
): Promise<ChaosReport> {
  const brokers = system.stack.addresses.kafkaBrokers.split(',');
  const { acked } = traffic;
  const judged = await judge({
    brokers,
    clickhouse,
    acked: new Set([...acked, ...foreign.ids]),
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
    foreign: foreign.ids.size,
    dead_letters: judged.deadLetters,
    nlp_calls: { sent: system.calls.count, repeated },
    kills,
    ended_by_themselves: Object.fromEntries(crashed.map(({ name, crashes }) => [name, crashes])),
    verify: judged.verify,
    logs: null,
  };
}

const commandOf = ({ seed, events, gapMs, rate, bots, brokers, world, kinds }: ChaosOptions): string =>
  `npm run chaos -- --seed ${seed} --events ${events} --gap ${gapMs}ms --rate ${rate} --bots ${bots}` +
  (brokers === 1 ? '' : ` --brokers ${brokers}`) +
  (world === true ? ' --world' : '') +
  (kinds ? ` --only ${kinds.join(',')}` : '');

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
      ({ event, life, unexplained, unexplained_calls }) =>
        `the kill of ${life} (event ${event}) repeated ${unexplained.length} calls that were committed: ${unexplained_calls.join('; ')}`,
    );
