import { Bench, type RunContext } from '../bench.ts';
import { loadEvents, NOISY_TENANT } from '../messages.ts';
import type { LoggedOutcome } from '../outcome-log.ts';
import {
  atMost,
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

const SECONDS = 20;
/** What the noisy tenant sends for each message of all others together. */
const NOISE = 10;
const MAX_RATIO = 1.2;

/** One tenant sends ten times what all others send together; the others' latency with it and without. */
export const noisyTenant: Scenario = async (options, context) => {
  const quietPerS = options.ratePerS / (NOISE + 1);
  const without = await others({ ...options, ratePerS: quietPerS }, context, 0);
  context.progress(`without: p99 ${Math.round(without.p99)} ms`);
  const with_ = await others(options, context, NOISE);
  return reportOn('noisy-tenant', [
    reported('messages a second without', Math.round(quietPerS)),
    reported('messages a second with', options.ratePerS),
    atMost('missing', without.missing + with_.missing, 0),
    reported("the others' first answer p50 ms, without", without.p50),
    reported("the others' first answer p50 ms, with", with_.p50),
    reported("the others' first answer p99 ms, without", without.p99),
    reported("the others' first answer p99 ms, with", with_.p99),
    atMost('p99, with ÷ without', Math.round((with_.p99 / without.p99) * 100) / 100, MAX_RATIO),
  ]);
};

async function others(options: ScenarioOptions, context: RunContext, noise: number) {
  const { api, signal } = context;
  const bench = await Bench.open(context, loadEvents(options.chats(), noise));
  try {
    await api.reset(0);
    const { system, sent: warmUp } = await startEnricher(bench, options, context);
    const count = Math.round(options.ratePerS * SECONDS);
    await bench.source.pace(count, options.ratePerS, signal);
    const all = warmUp + count;
    const deadlineMs = performance.now() + options.limitMs;
    const outcomes = await outcomesWhen(bench, system, all, deadlineMs, (found) => settledMessages(found) === all);
    const isOther = ({ tenant }: LoggedOutcome) => tenant !== NOISY_TENANT;
    const { p50, p99 } = insightLatency(firstAnswers(outcomes.filter(isOther), warmUp).values());
    return { p50, p99, missing: all - settledMessages(outcomes) };
  } finally {
    await bench.close();
  }
}
