import type { PlanOptions } from './planner.ts';

/**
 * The runs that are part of `npm test`. Their seeds were picked for their events; `planner.test.ts` checks that they still
 * are: here poison, a sink frozen past its session, the enrichers' way to Kafka silent, then an enricher, the broker and
 * the ClickHouse endpoint killed.
 */
export const SHORT_RUN: PlanOptions = { seed: 180_491, events: 6, gapMs: 2_000, brokers: 1 };

/** On three brokers: one killed, then the leader of the quorum, the registry, and another broker. */
export const SHORT_CLUSTER_RUN: PlanOptions = { seed: 570, events: 4, gapMs: 6_000, brokers: 3 };

/**
 * What other people do to the cluster, within six seconds: chat.enriched refuses every record while a foreign batch, poison
 * and growth come; then what the enrichers have committed is deleted.
 */
export const SHORT_WORLD_RUN: PlanOptions = {
  seed: 1_962,
  events: 5,
  gapMs: 1_000,
  brokers: 1,
  world: true,
  kinds: ['grow', 'delete_records', 'foreign', 'refuse'],
};
