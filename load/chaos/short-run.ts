import type { PlanOptions } from './plan.ts';

/**
 * The run that is part of `npm test`. Its seed was picked for its events: a sink frozen past its session, then the NLP
 * API, an enricher, the broker and the ClickHouse endpoint killed, and poison; `plan.test.ts` checks that it still is.
 */
export const SHORT_RUN: PlanOptions = { seed: 1_642, events: 6, gapMs: 2_000 };
