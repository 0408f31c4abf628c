import { Bench } from '../bench.ts';
import { loadEvents } from '../messages.ts';
import {
  atMost,
  BUDGET_MS,
  countOf,
  firstAnswers,
  insightLatency,
  outcomesWhen,
  reported,
  reportOn,
  type Scenario,
  settledMessages,
  share,
  startEnricher,
} from './scenario.ts';

const SECONDS = 30;
const FAULTS = { error_share: 0.2, hang_share: 0.05, delay_factor: 2 };
const MAX_CALLS = 1.3;

/** Twenty of a hundred calls fail, five hang, and the rest takes twice as long. */
export const faults: Scenario = async (options, context) => {
  const { api, signal, progress } = context;
  const bench = await Bench.open(context, loadEvents(options.chats()));
  try {
    const count = options.ratePerS * SECONDS;
    await api.reset(0);
    const { system, sent: warmUp } = await startEnricher(bench, options, context);
    progress('20 % errors, 5 % hangs, twice the latency');
    const before = await api.stats();
    await api.setFaults(FAULTS);
    await bench.source.pace(count, options.ratePerS, signal);
    const all = warmUp + count;
    const deadlineMs = performance.now() + options.limitMs;
    const outcomes = await outcomesWhen(bench, system, all, deadlineMs, (found) => settledMessages(found) === all);
    const after = await api.stats();
    const answers = firstAnswers(outcomes, warmUp);
    const latency = insightLatency(answers.values());
    const early = [...answers.values()].filter(({ provisional }) => provisional).length;
    return reportOn('faults', [
      reported('messages', count),
      atMost('missing', all - settledMessages(outcomes), 0),
      atMost('dead-lettered', countOf(outcomes, 'dead_lettered'), 0),
      reported('degraded', countOf(outcomes, 'degraded')),
      reported('first answer provisional, share', share(early, count)),
      reported('first answer final, share', share(count - early, count)),
      reported('first answer p50 ms', latency.p50),
      atMost('first answer p99 ms', latency.p99, BUDGET_MS),
      atMost('calls a message', share(after.calls - before.calls, count), MAX_CALLS),
      reported('documents sent to the API, a message', share(after.documents - before.documents, count)),
      reported('max RSS MB', Math.round(system.maxRssBytes / 2 ** 20)),
    ]);
  } finally {
    await api.heal();
    await bench.close();
  }
};
