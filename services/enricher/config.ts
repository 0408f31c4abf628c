import { type ConfigOf, type Environment, int, number, oneOf, readConfig } from '../core/config.ts';
import { ParleyError } from '../core/errors.ts';
import { KAFKA_SPEC, NLP_SPEC, REGISTRY_SPEC } from '../platform/settings.ts';
import { ANALYSER_SPEC } from './analyse/config.ts';

/** A stop settles, then flushes and disconnects: within the 30 s that containers get. */
const MAX_SETTLE_MS = 20_000;
export const DRAIN_TIMEOUT_MS = MAX_SETTLE_MS + 8_000;

export const ENRICHER_SPEC = {
  ...KAFKA_SPEC,
  ...REGISTRY_SPEC,
  ...NLP_SPEC,
  ...ANALYSER_SPEC,
  NLP_CONCURRENCY: int({ default: 2_000, min: 1, max: 20_000, doc: 'Calls to the NLP API in flight at most' }),
  NLP_INITIAL_CONCURRENCY: int({ default: 200, min: 1, max: 20_000, doc: 'Calls in flight at the start; it adapts' }),
  NLP_CONNECTIONS: int({ default: 2_000, min: 1, max: 20_000, doc: 'Connections to the NLP API at most' }),
  NLP_TIMEOUT_MS: int({ default: 2_000, min: 10, max: 120_000, doc: 'Time-out of one attempt' }),
  NLP_MAX_RETRIES: int({ default: 4, min: 0, max: 20, doc: 'Retries after the first attempt' }),
  NLP_BACKOFF_BASE_MS: int({ default: 50, min: 1, max: 60_000, doc: 'Backoff before the first retry, at most' }),
  NLP_BACKOFF_CAP_MS: int({ default: 2_000, min: 1, max: 60_000, doc: 'Backoff before any retry, at most' }),
  NLP_BREAKER_THRESHOLD: number({
    default: 0.5,
    min: 0.01,
    max: 0.99,
    doc: 'Share of failures that opens the breaker',
  }),
  NLP_BREAKER_WINDOW_MS: int({ default: 10_000, min: 100, max: 600_000, doc: 'Time over which the share is taken' }),
  NLP_HALF_OPEN_AFTER_MS: int({
    default: 5_000,
    min: 10,
    max: 600_000,
    doc: 'Time from the opening of the breaker to a probe; longer than NLP_TIMEOUT_MS',
  }),
  NLP_HEDGE_SHARE: number({
    default: 0.05,
    min: 0,
    max: 0.5,
    doc: 'Hedged calls at most, as a share of all calls; 0: no hedging',
  }),
  ON_NLP_OUTAGE: oneOf(['degrade', 'wait'], {
    default: 'degrade',
    doc: 'While the NLP API is down: answer from the local model and analyse again later, or leave messages in Kafka',
  }),
  NLP_PROVISIONAL_MARGIN_MS: int({
    default: 60,
    min: 1,
    max: 60_000,
    doc: 'How long before the end of its latency budget a message without an answer gets a provisional one',
  }),
  FALLBACK_CPU_SHARE: number({
    default: 0.4,
    min: 0.01,
    max: 1,
    doc: 'Share of the event loop’s time that the local model may take',
  }),
  STORM_PROBE_MS: int({
    default: 5_000,
    min: 10,
    max: 600_000,
    doc: 'Time between two probes while the storm guard keeps failures from chat.dlq',
  }),
  REPLAY_SHARE: number({
    default: 0.1,
    min: 0.01,
    max: 1,
    doc: 'Share of the messages in flight that replay may take',
  }),
  KAFKA_COMMIT_INTERVAL_MS: int({
    default: 100,
    min: 10,
    max: 60_000,
    doc: 'Time between commits of offsets: a `kill -9` may have repeated what was acked since',
  }),
  GROUP_SESSION_TIMEOUT_MS: int({
    default: 6_000,
    min: 1_000,
    max: 300_000,
    doc: 'Silence after which Kafka reassigns',
  }),
  GROUP_SETTLE_MS: int({
    default: 1_000,
    min: 0,
    max: MAX_SETTLE_MS,
    doc: 'How long calls in flight may take to end before a rejoin or a stop; less than GROUP_SESSION_TIMEOUT_MS',
  }),
};

export type EnricherConfig = ConfigOf<typeof ENRICHER_SPEC>;

/** @throws {ParleyError} CONFIG_INVALID */
export function readEnricherConfig(env: Environment): EnricherConfig {
  const config = readConfig(ENRICHER_SPEC, env);
  const { NLP_HALF_OPEN_AFTER_MS: halfOpenAfterMs, NLP_TIMEOUT_MS: timeoutMs } = config;
  if (halfOpenAfterMs <= timeoutMs) {
    throw new ParleyError(
      'CONFIG_INVALID',
      `NLP_HALF_OPEN_AFTER_MS is "${halfOpenAfterMs}"; allowed is more than NLP_TIMEOUT_MS, ${timeoutMs}`,
    );
  }
  const { GROUP_SETTLE_MS: settleMs, GROUP_SESSION_TIMEOUT_MS: sessionMs } = config;
  if (settleMs >= sessionMs) {
    // No heartbeat goes out while a member settles.
    throw new ParleyError(
      'CONFIG_INVALID',
      `GROUP_SETTLE_MS is "${settleMs}"; allowed is less than GROUP_SESSION_TIMEOUT_MS, ${sessionMs}`,
    );
  }
  if (config.NLP_PROVIDER === 'json' && config.NLP_MAPPING === undefined) {
    throw new ParleyError(
      'CONFIG_INVALID',
      'NLP_MAPPING is not set; NLP_PROVIDER=json needs the path of a mapping file',
    );
  }
  return config;
}

/**
 * Bytes of one partition in one fetch: some 80 records. A single larger record still comes.
 */
export const MAX_FETCH_BYTES = 32 << 10;
/**
 * Bytes of one fetch over all partitions that one broker leads, however many the instance holds: 12 partitions in full, or
 * 96 by turns. All of a fetch is decoded before any of it is handed over: some 1,000 records of 400 bytes at 10 µs each hold
 * the event loop up for 10 ms.
 */
export const MAX_FETCH_BYTES_IN_ALL = 12 * MAX_FETCH_BYTES;
/**
 * Fetched and not started yet, over all partitions of a lane in an instance, however many these are: 3,500 records and
 * 32 MiB for both lanes, and one more record of each. At that fetching of the lane pauses, and what comes all the same is
 * handed back. Each lane has its own, since replay waits: in an outage deferred messages fill their share, and live ones
 * go on.
 */
export const MAX_QUEUED = {
  live: { records: 2_500, bytes: 24 << 20 },
  replay: { records: 1_000, bytes: 8 << 20 },
};
export type Lane = keyof typeof MAX_QUEUED;
/** Records in flight, those that back off or wait for a permit included, as a multiple of the concurrency. */
export const IN_FLIGHT_FACTOR = 2;
/** Bytes of records in flight. */
export const MAX_IN_FLIGHT_BYTES = 64 << 20;
