import type { ChatOutcome } from '../core/records.ts';
import type { Counter, Metrics, TalliedHistogram } from '../platform/metrics.ts';
import { LATENCY_BUCKETS_S } from '../platform/metrics.ts';
import type { Lane } from './config.ts';

export interface EnricherMetrics {
  readonly outcomes: (outcome: ChatOutcome['outcome'], lane: Lane) => void;
  readonly deadLetters: Counter<'reason'>;
  /** By result. */
  readonly nlpCalls: TalliedHistogram;
  readonly nlpRetries: Counter<'cause'>;
  readonly nlpHedges: Counter<'result'>;
  readonly nlpLimitMoves: Counter<'why'>;
  /** By lane. */
  readonly latency: TalliedHistogram;
  readonly firstAnswer: TalliedHistogram;
  /** By stage. */
  readonly stages: TalliedHistogram;
  readonly provisional: Counter<'result'>;
  readonly deferred: Counter;
  readonly fallbackSeconds: Counter;
  readonly skipped: Counter;
  readonly ledgerMetadata: Counter<'state'>;
}

/** What the gauges read at each scrape. */
export interface EnricherGauges {
  readonly inFlight: () => number;
  readonly queued: () => number;
  readonly queuedBytes: () => number;
  readonly nlpInFlight: () => number;
  readonly nlpWaiting: () => number;
  readonly nlpLimit: () => number;
  readonly nlpRate: () => number;
  readonly nlpHeldBack: () => number;
  readonly breakerOpen: () => number;
  readonly oldestUnfinishedMs: () => number;
  readonly aheadOfWatermark: () => number;
  readonly fallbackWaiting: () => number;
  readonly stormTripped: () => number;
  readonly stormHeld: () => number;
}

export function enricherMetrics(metrics: Metrics): EnricherMetrics {
  return {
    outcomes: countOutcomes(metrics),
    deadLetters: metrics.counter('parley_dead_letters_total', 'Dead letters by reason', ['reason']),
    nlpCalls: metrics.tallied(
      'parley_nlp_call_seconds',
      'Calls to the NLP API (each retry and hedge is one) by result',
      LATENCY_BUCKETS_S,
      'result',
    ),
    nlpRetries: metrics.counter('parley_nlp_retries_total', 'Retries by the cause of the failed attempt', ['cause']),
    nlpHedges: metrics.counter(
      'parley_nlp_hedges_total',
      'Hedged requests, by which of the two attempts answered first',
      ['result'],
    ),
    nlpLimitMoves: metrics.counter('parley_nlp_limit_moves_total', 'Moves of the concurrency limit by their reason', [
      'why',
    ]),
    latency: metrics.tallied(
      'parley_insight_latency_seconds',
      'From the gateway’s receipt of a message to its outcome',
      LATENCY_BUCKETS_S,
      'lane',
    ),
    firstAnswer: metrics.tallied(
      'parley_first_answer_seconds',
      'From the gateway’s receipt of a live message to its first outcome, provisional or final',
      LATENCY_BUCKETS_S,
    ),
    stages: metrics.tallied(
      'parley_stage_seconds',
      'What each stage took of a live message’s latency, of one message in sixteen',
      LATENCY_BUCKETS_S,
      'stage',
    ),
    provisional: metrics.counter(
      'parley_provisional_outcomes_total',
      'Messages without an answer at the edge of their latency budget: an early one sent, or no CPU left for it',
      ['result'],
    ),
    deferred: metrics.counter('parley_deferred_total', 'Messages put on chat.replay to be analysed after an outage'),
    fallbackSeconds: metrics.counter(
      'parley_fallback_seconds_total',
      'Time of the event loop that the local model took',
    ),
    skipped: metrics.counter('parley_records_skipped_total', 'Records complete already by the recovered ledger'),
    ledgerMetadata: metrics.counter('parley_ledger_metadata_total', 'Commit metadata read at assignment, by state', [
      'state',
    ]),
  };
}

/** Counted in maps and handed over at a scrape: finding a labelled series costs half a microsecond. */
function countOutcomes(metrics: Metrics): EnricherMetrics['outcomes'] {
  const counts: Record<Lane, Map<ChatOutcome['outcome'], number>> = { live: new Map(), replay: new Map() };
  metrics.counter('parley_outcomes_total', 'Outcomes acked by Kafka', ['outcome', 'lane'], (counter) => {
    for (const [lane, byOutcome] of Object.entries(counts)) {
      for (const [outcome, count] of byOutcome) counter.inc({ outcome, lane }, count);
    }
  });
  return (outcome, lane) => counts[lane].set(outcome, (counts[lane].get(outcome) ?? 0) + 1);
}

export function registerGauges(metrics: Metrics, gauges: EnricherGauges): void {
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge(name, help, [], (instance) => instance.set(read()));
  gauge('parley_records_in_flight', 'Records started and not complete', gauges.inFlight);
  gauge('parley_records_queued', 'Records fetched and not started', gauges.queued);
  gauge('parley_records_queued_bytes', 'Bytes of the records fetched and not started', gauges.queuedBytes);
  gauge('parley_nlp_in_flight', 'Calls to the NLP API in flight', gauges.nlpInFlight);
  gauge('parley_nlp_waiting', 'Calls that wait for the rate or a permit', gauges.nlpWaiting);
  gauge('parley_nlp_concurrency_limit', 'Calls to the NLP API in flight at most, as it adapts', gauges.nlpLimit);
  gauge('parley_nlp_rate_limit', 'Calls to the NLP API a second at most; +Inf: no limit', gauges.nlpRate);
  metrics.counter(
    'parley_nlp_held_back_total',
    'Calls that were not made since a throttle lasts: their messages are degraded, or wait',
    [],
    (counter) => counter.inc(gauges.nlpHeldBack()),
  );
  gauge('parley_nlp_breaker_open', '1 while the circuit breaker is not closed', gauges.breakerOpen);
  gauge('parley_oldest_unfinished_ms', 'Age of the oldest record taken and not complete', gauges.oldestUnfinishedMs);
  gauge('parley_completed_ahead', 'Completed offsets above the low watermarks', gauges.aheadOfWatermark);
  gauge('parley_fallback_waiting', 'Messages that wait for their turn with the local model', gauges.fallbackWaiting);
  gauge('parley_storm_guard_tripped', '1 while the storm guard keeps failures from chat.dlq', gauges.stormTripped);
  gauge('parley_storm_guard_held', 'Records that wait instead of being dead-lettered', gauges.stormHeld);
}
