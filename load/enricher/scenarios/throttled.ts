import { setTimeout as delay } from 'node:timers/promises';
import type { ApiStats } from '../api/faults.ts';
import { Bench } from '../bench.ts';
import { loadEvents } from '../messages.ts';
import {
  atMost,
  countOf,
  outcomesWhen,
  reported,
  reportOn,
  type Scenario,
  settledMessages,
  share,
  startEnricher,
} from './scenario.ts';

const SECONDS = 30;
/** Calls that the API admits, as a share of the messages that come: half. */
const ADMITTED = 0.5;
/** Share of the calls in the last third that may be refused: by then the rate has adapted. */
const MAX_REFUSED = 0.3;

/** The API admits half as many calls as messages come and answers 429 with Retry-After to the rest. Calls are single. */
export const throttled: Scenario = async (options, context) => {
  const { api, signal, progress } = context;
  const bench = await Bench.open(context, loadEvents(options.chats()));
  try {
    const count = options.ratePerS * SECONDS;
    await api.reset(0);
    const single = { ...options, env: { NLP_BATCH: 'off', ...options.env } };
    const { system, sent: warmUp } = await startEnricher(bench, single, context);
    await api.setFaults({ throttle_per_s: options.ratePerS * ADMITTED, retry_after_s: 1 });
    progress(`the API admits ${options.ratePerS * ADMITTED} calls a second`);
    const readings: ApiStats[] = [];
    const sending = bench.source.pace(count, options.ratePerS, signal);
    for (let third = 0; third < 3; third++) {
      readings.push(await api.stats());
      await delay((SECONDS * 1_000) / 3, undefined, { signal });
    }
    const last = await api.stats();
    await sending;
    await api.heal();
    const all = warmUp + count;
    const deadlineMs = performance.now() + options.limitMs;
    const outcomes = await outcomesWhen(bench, system, all, deadlineMs, (found) => settledMessages(found) === all);
    const [first, , third] = readings as [ApiStats, ApiStats, ApiStats];
    return reportOn('throttled', [
      reported('messages', count),
      atMost('missing', all - settledMessages(outcomes), 0),
      atMost('dead-lettered', countOf(outcomes, 'dead_lettered'), 0),
      reported('degraded', countOf(outcomes, 'degraded')),
      reported('calls refused with 429', last.throttled - first.throttled),
      atMost('refused of the calls in the last third, share', refused(third, last), MAX_REFUSED),
      reported(
        'admitted calls a second in the last third',
        Math.round((admitted(last) - admitted(third)) / (SECONDS / 3)),
      ),
      reported('max RSS MB', Math.round(system.maxRssBytes / 2 ** 20)),
    ]);
  } finally {
    await api.heal();
    await bench.close();
  }
};

const admitted = ({ calls, throttled: refusals }: ApiStats): number => calls - refusals;
const refused = (from: ApiStats, to: ApiStats): number => share(to.throttled - from.throttled, to.calls - from.calls);
