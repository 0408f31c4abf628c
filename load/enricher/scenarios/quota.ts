import { setTimeout as delay } from 'node:timers/promises';
import type { ApiStats } from '../api/faults.ts';
import { Bench } from '../bench.ts';
import { loadEvents } from '../messages.ts';
import { atMost, countOf, reported, reportOn, type Scenario, share, startEnricher } from './scenario.ts';

/** Calls a second that the API admits, a second's worth at once; the rest gets 429 with `Retry-After: 1`. */
const QUOTA_PER_S = 50;
const SECONDS = 60;
/** By then the rate has adapted. */
const ADAPTED_AFTER_S = 10;
/** Calls for each one that the API admitted, at most. */
const MAX_CALLS = 1.3;

/** A small quota for a minute while many more messages come, each with a text of its own. Calls are single. */
export const quota: Scenario = async (options, context) => {
  const { api, signal, progress } = context;
  const bench = await Bench.open(context, loadEvents(options.chats()));
  try {
    await api.reset(0);
    const single = { ...options, env: { NLP_BATCH: 'off', NLP_CACHE_BYTES: '0', ...options.env } };
    const { system } = await startEnricher(bench, single, context);
    await api.setFaults({ throttle_per_s: QUOTA_PER_S, retry_after_s: 1 });
    progress(`the API admits ${QUOTA_PER_S} calls a second`);
    const atStart = await api.stats();
    const sending = bench.source.pace(options.ratePerS * SECONDS, options.ratePerS, signal);
    await delay(ADAPTED_AFTER_S * 1_000, undefined, { signal });
    const adapted = await api.stats();
    await delay((SECONDS - ADAPTED_AFTER_S) * 1_000, undefined, { signal });
    const atEnd = await api.stats();
    await sending;
    await api.heal();
    const outcomes = await bench.readOutcomes();
    return reportOn('quota', [
      reported('calls in the first ten seconds', adapted.calls - atStart.calls),
      reported('admitted in the first ten seconds', admitted(atStart, adapted)),
      reported('calls after that', atEnd.calls - adapted.calls),
      reported('admitted after that', admitted(adapted, atEnd)),
      atMost(
        'calls for each admitted after that',
        share(atEnd.calls - adapted.calls, admitted(adapted, atEnd)),
        MAX_CALLS,
      ),
      atMost('dead-lettered', countOf(outcomes, 'dead_lettered'), 0),
      reported('degraded', countOf(outcomes, 'degraded')),
      reported('enriched', countOf(outcomes, 'enriched')),
      reported('max RSS MB', Math.round(system.maxRssBytes / 2 ** 20)),
    ]);
  } finally {
    await api.heal();
    await bench.close();
  }
};

const admitted = (from: ApiStats, to: ApiStats): number => to.calls - to.throttled - (from.calls - from.throttled);
