import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { ChatEvent, ChatOutcome, Coordinates } from '../core/records.ts';
import type { DlqReason } from '../core/wire-codes.ts';
import { type ChatCodec, RegistryUnavailableError } from '../platform/avro/codec.ts';
import type { BatchProducer } from '../platform/kafka/batch-producer.ts';
import type { Claim, FetchedRecord } from '../platform/kafka/claim.ts';
import { deadLetter } from '../platform/kafka/dead-letter.ts';
import type { TopicNames } from '../platform/kafka/topics.ts';
import type { Logger } from '../platform/logger.ts';
import { outcomeHeaders, passedOnHeaders } from '../platform/record-headers.ts';
import { faultOf } from './event-check.ts';
import type { EnricherMetrics } from './metrics.ts';
import type { Analyser } from './nlp/analyser.ts';
import { deadLettered, enriched, gap } from './outcomes.ts';

export interface ProcessorOptions {
  readonly codec: ChatCodec;
  readonly analyser: Analyser;
  readonly producer: BatchProducer;
  readonly topics: TopicNames;
  readonly metrics: EnricherMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

type Decoded =
  | { readonly kind: 'event'; readonly event: ChatEvent }
  | { readonly kind: 'poison'; readonly reason: DlqReason; readonly detail: string; readonly event?: ChatEvent };

const REGISTRY_RETRY_MS = 500;

/**
 * The way of one record through the enricher:
 *
 *     decode ─▶ check ─▶ analyse ─▶ outcome on chat.enriched
 *        └─────────┴────────┴────▶ dead letter on chat.dlq, and its outcome
 *
 * Resolves when Kafka has acked all that the record gave rise to, so that its offset is complete; or false when the
 * claim was lost on the way, so that nothing may be said of it.
 */
export class RecordProcessor {
  readonly #options: ProcessorOptions;

  constructor(options: ProcessorOptions) {
    this.#options = options;
  }

  async process(claim: Claim, record: FetchedRecord): Promise<boolean> {
    const decoded = await this.#decode(claim, record);
    if (!decoded || !claim.active) return false;
    const source = sourceOf(claim, record.offset);
    if (decoded.kind === 'poison') return this.#bury(claim, record, source, decoded.event, { ...decoded, attempts: 0 });
    const { event } = decoded;
    const analysis = await this.#options.analyser.analyse({
      id: event.message_id,
      text: event.text,
      stillWanted: () => claim.active,
      hedgeUntilMs: Number.NEGATIVE_INFINITY,
      onOutage: 'wait',
    });
    switch (analysis.kind) {
      case 'unavailable':
      case 'abandoned':
        return false;
      case 'analysed':
        return this.#emit(
          claim,
          record,
          enriched(source, event, { ...analysis, enrichedAt: this.#options.clock.now() }),
        );
      case 'rejected':
        return this.#bury(claim, record, source, event, { reason: 'nlp_rejected', ...analysis });
      case 'exhausted':
        return this.#bury(claim, record, source, event, { reason: 'nlp_exhausted', ...analysis });
    }
  }

  /** Says in the log that retention removed `first..last` before they were read. */
  async skip(claim: Claim, first: number, last: number): Promise<boolean> {
    const { log, clock } = this.#options;
    log.error(
      { topic: claim.topic, partition: claim.partition, first, last },
      'records are gone: retention removed them',
    );
    const record: FetchedRecord = { offset: first, timestamp: 0, key: null, value: null, headers: {}, size: 0 };
    return this.#emit(claim, record, gap(sourceOf(claim, first), last, clock.now()));
  }

  /** Waits for the registry for as long as it takes: its outage is not poison. */
  async #decode(claim: Claim, record: FetchedRecord): Promise<Decoded | undefined> {
    const { codec, topics, log } = this.#options;
    while (claim.active) {
      try {
        const decoded = await codec.decodeEvent(record.value);
        if (!decoded.ok) return { kind: 'poison', reason: decoded.reason, detail: decoded.detail };
        const fault = faultOf(decoded.value, claim.topic === topics.replay);
        if (fault) return { kind: 'poison', reason: 'invalid', detail: fault, event: decoded.value };
        return { kind: 'event', event: decoded.value };
      } catch (error) {
        if (!(error instanceof RegistryUnavailableError)) throw error;
        log.warn({ err: messageOf(error), topic: claim.topic, partition: claim.partition }, 'waiting for the registry');
        await delay(REGISTRY_RETRY_MS);
      }
    }
    return undefined;
  }

  async #emit(claim: Claim, record: FetchedRecord, outcome: ChatOutcome): Promise<boolean> {
    const { producer, metrics, topics } = this.#options;
    if (!claim.active) return false;
    await producer.send(this.#outcomeRecord(claim, record, outcome));
    const lane = claim.topic === topics.replay ? 'replay' : 'live';
    metrics.outcomes.inc({ outcome: outcome.outcome, lane });
    metrics.latency.observe({ lane }, Math.max(outcome.enriched_at - outcome.received_at, 0) / 1_000);
    return true;
  }

  async #bury(
    claim: Claim,
    record: FetchedRecord,
    source: Coordinates,
    event: ChatEvent | undefined,
    why: { readonly reason: DlqReason; readonly detail: string; readonly attempts: number },
  ): Promise<boolean> {
    const { clock, producer, topics, metrics, log } = this.#options;
    const now = clock.now();
    const letter = deadLetter(topics.dlq, record, source, {
      ...why,
      firstFailedAt: now,
      failedAt: now,
      service: 'enricher',
    });
    const outcome = deadLettered(source, record, event, { ...why, enrichedAt: now });
    if (!claim.active) return false;
    const [, emitted] = await Promise.all([producer.send(letter), this.#emit(claim, record, outcome)]);
    metrics.deadLetters.inc({ reason: why.reason });
    const { topic, partition, offset } = source;
    log.warn({ reason: why.reason, detail: why.detail, topic, partition, offset }, 'a record is dead-lettered');
    return emitted;
  }

  #outcomeRecord(claim: Claim, record: FetchedRecord, outcome: ChatOutcome) {
    return {
      topic: this.#options.topics.enriched,
      partition: claim.partition,
      key: record.key,
      value: this.#options.codec.encodeOutcome(outcome),
      headers: { ...outcomeHeaders(outcome), ...passedOnHeaders(record.headers) },
    };
  }
}

const sourceOf = ({ topicId, topic, partition }: Claim, offset: number): Coordinates => ({
  topic_id: topicId,
  topic,
  partition,
  offset,
});
