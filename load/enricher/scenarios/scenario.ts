import { setTimeout as delay } from 'node:timers/promises';
import { LatencyHistogram } from '../../../services/operator/latency-histogram.ts';
import type { Turn } from '../../kit/chats.ts';
import type { Bench, RunContext } from '../bench.ts';
import type { LoggedOutcome } from '../outcome-log.ts';
import type { SystemUnderTest } from '../system-under-test.ts';

export interface ScenarioOptions {
  /** Messages a second. */
  readonly ratePerS: number;
  /** Variables of the enricher, besides its addresses. */
  readonly env: Readonly<Record<string, string>>;
  readonly chats: () => Iterator<readonly Turn[], void>;
  readonly limitMs: number;
}

/** One thing that was to be shown: a figure and, where there is one, its bound. */
export interface Finding {
  readonly what: string;
  readonly value: number;
  /** `null`: reported, not judged. */
  readonly bound: string | null;
  readonly ok: boolean;
}

export interface ScenarioReport {
  readonly ok: boolean;
  readonly scenario: string;
  readonly findings: readonly Finding[];
}

export type Scenario = (options: ScenarioOptions, context: RunContext) => Promise<ScenarioReport>;

export const reported = (what: string, value: number): Finding => ({ what, value, bound: null, ok: true });
export const atMost = (what: string, value: number, bound: number): Finding => ({
  what,
  value,
  bound: `≤ ${bound}`,
  ok: value <= bound,
});

export const reportOn = (scenario: string, findings: readonly Finding[]): ScenarioReport => ({
  ok: findings.every(({ ok }) => ok),
  scenario,
  findings,
});

/** The gateway's latency budget: `deadline_at` minus `received_at`. */
export const BUDGET_MS = 400;
/** Sent before anything counts, so that the enricher is up and its limits have settled. */
const WARM_UP_S = 5;
const QUIET_MS = 3_000;

/** An enricher that is up and has worked for a while. @returns how many messages that took. */
export async function startEnricher(bench: Bench, { ratePerS, env }: ScenarioOptions, { signal }: RunContext) {
  const system = await bench.start('parley', env);
  await bench.source.pace(1, ratePerS, signal);
  await bench.untilOutcomes(1, system, performance.now() + 60_000);
  const warmUp = Math.round(ratePerS * WARM_UP_S);
  await bench.source.pace(warmUp, ratePerS, signal);
  return { system, sent: warmUp + 1 };
}

/** All outcomes once `complete` says of them that nothing is outstanding, or those that are there when the time is up. */
export async function outcomesWhen(
  bench: Bench,
  system: SystemUnderTest,
  atLeast: number,
  deadlineMs: number,
  complete: (outcomes: readonly LoggedOutcome[]) => boolean,
): Promise<LoggedOutcome[]> {
  await bench.untilOutcomes(atLeast, system, deadlineMs, QUIET_MS);
  for (;;) {
    const outcomes = await bench.readOutcomes();
    if (complete(outcomes) || performance.now() >= deadlineMs) return outcomes;
    await delay(QUIET_MS);
  }
}

/** The first answer to each message, provisional or not, from the message with this number on. */
export function firstAnswers(outcomes: readonly LoggedOutcome[], from: number): Map<number, LoggedOutcome> {
  const first = new Map<number, LoggedOutcome>();
  for (const outcome of outcomes) {
    if (outcome.number < from) continue;
    const earlier = first.get(outcome.number);
    if (!earlier || outcome.atMs < earlier.atMs) first.set(outcome.number, outcome);
  }
  return first;
}

/** How many messages have a final outcome of the record on chat.events. */
export const settledMessages = (outcomes: readonly LoggedOutcome[]): number =>
  new Set(outcomes.filter(({ provisional, replayed }) => !provisional && !replayed).map(({ number }) => number)).size;

export const countOf = (outcomes: readonly LoggedOutcome[], kind: string, replayed = false): number =>
  new Set(
    outcomes
      .filter((each) => !each.provisional && each.outcome === kind && each.replayed === replayed)
      .map(({ number }) => number),
  ).size;

/** From the event's receipt to the answer in the log. */
export function insightLatency(answers: Iterable<LoggedOutcome>) {
  const histogram = new LatencyHistogram();
  for (const { atMs, receivedAtMs } of answers) histogram.record(atMs - receivedAtMs);
  return histogram.summary();
}

export const share = (part: number, whole: number): number =>
  whole === 0 ? 0 : Math.round((part / whole) * 1_000) / 1_000;
