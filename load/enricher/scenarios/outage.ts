import { setTimeout as delay } from 'node:timers/promises';
import { Bench, type RunContext } from '../bench.ts';
import { loadEvents } from '../messages.ts';
import type { LoggedOutcome } from '../outcome-log.ts';
import { checkRollups } from './rollups.ts';
import {
  atMost,
  BUDGET_MS,
  countOf,
  type Finding,
  firstAnswers,
  insightLatency,
  outcomesWhen,
  reported,
  reportOn,
  type Scenario,
  type ScenarioOptions,
  settledMessages,
  startEnricher,
} from './scenario.ts';

const BEFORE_S = 10;
const OUTAGE_S = 60;
const AFTER_S = 20;
const MAX_RSS_MB = 600;

/** The API refuses connections for a minute; `ON_NLP_OUTAGE=degrade`, then `wait`. */
export const outage: Scenario = async (options, context) =>
  reportOn('outage', [
    ...(await oneOutage('degrade', options, context)),
    ...(await oneOutage('wait', options, context)),
  ]);

async function oneOutage(
  mode: 'degrade' | 'wait',
  options: ScenarioOptions,
  context: RunContext,
): Promise<readonly Finding[]> {
  const { api, signal, progress } = context;
  const bench = await Bench.open(context, loadEvents(options.chats()));
  try {
    await api.reset(0);
    const env = { ON_NLP_OUTAGE: mode, ...options.env };
    const { system, sent: warmUp } = await startEnricher(bench, { ...options, env }, context);
    const count = options.ratePerS * (BEFORE_S + OUTAGE_S + AFTER_S);
    const sending = bench.source.pace(count, options.ratePerS, signal);
    await delay(BEFORE_S * 1_000, undefined, { signal });
    progress(`${mode}: the API is down`);
    await api.setFaults({ down: true });
    const downAtMs = Date.now();
    await delay(OUTAGE_S * 1_000, undefined, { signal });
    await api.heal();
    const healedAtMs = Date.now();
    progress(`${mode}: the API is back`);
    await sending;
    const all = warmUp + count;
    const deadlineMs = performance.now() + options.limitMs;
    const outcomes = await outcomesWhen(bench, system, all, deadlineMs, (found) => outstanding(found, all) === 0);
    await system.stop();
    const rollups = mode === 'degrade' ? await checkRollups(bench, context, options.limitMs) : [];
    const findings = [...common(outcomes, all, healedAtMs, system.maxRssBytes), ...rollups];
    if (mode === 'degrade') {
      const answers = [...firstAnswers(outcomes, warmUp).values()];
      const p99 = (fromMs: number, toMs: number) =>
        insightLatency(answers.filter(({ receivedAtMs }) => receivedAtMs >= fromMs && receivedAtMs < toMs)).p99;
      findings.push(
        atMost('first answer p99 ms', insightLatency(answers).p99, BUDGET_MS),
        reported('first answer p99 ms, API up before', p99(0, downAtMs - 1_000)),
        reported('first answer p99 ms, until 5 s after it went down', p99(downAtMs - 1_000, downAtMs + 5_000)),
        reported('first answer p99 ms, API down', p99(downAtMs + 5_000, healedAtMs - 1_000)),
        reported('first answer p99 ms, API back', p99(healedAtMs - 1_000, Number.POSITIVE_INFINITY)),
      );
    }
    if (mode === 'wait') findings.push(atMost('degraded', countOf(outcomes, 'degraded'), 0));
    return findings.map((finding) => ({ ...finding, what: `${mode}: ${finding.what}` }));
  } finally {
    await api.heal();
    await bench.close();
  }
}

/** Messages without a final outcome, and degraded ones without the analysis that replaces it. */
function outstanding(outcomes: readonly LoggedOutcome[], all: number): number {
  return all - settledMessages(outcomes) + countOf(outcomes, 'degraded') - countOf(outcomes, 'enriched', true);
}

function common(outcomes: readonly LoggedOutcome[], all: number, healedAtMs: number, maxRssBytes: number): Finding[] {
  // A message that waited, or was analysed again, shows that the backlog is not gone yet.
  const late = outcomes.filter(
    ({ atMs, receivedAtMs, replayed }) => atMs > healedAtMs && (replayed || atMs - receivedAtMs > 2_000),
  );
  const caughtUpAtMs = late.reduce((latest, { atMs }) => Math.max(latest, atMs), healedAtMs);
  return [
    reported('messages', all),
    atMost('missing', all - settledMessages(outcomes), 0),
    atMost('dead-lettered', countOf(outcomes, 'dead_lettered'), 0),
    reported('degraded, then analysed', countOf(outcomes, 'enriched', true)),
    atMost('degraded and not analysed', outstanding(outcomes, all), 0),
    reported('caught up after s', Math.round((caughtUpAtMs - healedAtMs) / 100) / 10),
    atMost('max RSS MB', Math.round(maxRssBytes / 2 ** 20), MAX_RSS_MB),
  ];
}
