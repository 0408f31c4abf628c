import type { EpochMs } from '../core/brands.ts';
import type { Clock } from '../core/clock.ts';
import { outcomePartition } from '../core/outcome-partition.ts';
import type { ChatEvent, ChatOutcome, Coordinates, Insight } from '../core/records.ts';
import type { DlqReason } from '../core/wire-codes.ts';
import type { ChatCodec } from '../platform/avro/codec.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import type { BatchProducer, OutgoingRecord } from '../platform/kafka/produce/batch-producer.ts';
import { deadLetter, sendDeadLetter } from '../platform/kafka/produce/dead-letter.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { TopicNames } from '../platform/kafka/topics.ts';
import type { Logger } from '../platform/logger.ts';
import { outcomeHeaders, passOnHeaders } from '../platform/record-headers.ts';
import { startSend, traceIdOf } from '../platform/tracing/messaging-spans.ts';
import { traceHeaders } from '../platform/tracing/trace-context.ts';
import type { Span, Tracer } from '../platform/tracing/tracer.ts';
import type { Analysed } from './analyse/cache/analyser.ts';
import { forward, type Receiver } from './analyse/callbacks.ts';
import { deferral } from './deferral.ts';
import type { EnricherMetrics } from './metrics.ts';
import { deadLettered, degraded, enriched, gap, provisional } from './outcomes.ts';
import { observeStages } from './stages.ts';
import type { WorkItem } from './work-item.ts';

export interface EmitterOptions {
  readonly codec: ChatCodec;
  readonly producer: BatchProducer;
  readonly topics: TopicNames;
  /** Partitions of chat.enriched, as the cluster had them at the start: after a growth the sinks pass on what comes (ADR 19). */
  readonly enrichedPartitions: number;
  readonly metrics: EnricherMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tracer?: Tracer | undefined;
}

/** The place of a record that a letter and an outcome are made of. */
interface Place {
  readonly claim: Claim;
  readonly record: FetchedRecord;
  readonly source: Coordinates;
  /** When work on it began, ms since the epoch; of a message that was analysed. */
  readonly startedAtMs?: number;
  readonly span?: Span | undefined;
}

/**
 * Puts outcomes on chat.enriched, dead letters on chat.dlq and deferred messages on chat.replay. Each result is true once
 * Kafka has acked all of it, and false when the claim was lost on the way: then nothing more is sent.
 */
export class OutcomeEmitter {
  readonly #options: EmitterOptions;

  constructor(options: EmitterOptions) {
    this.#options = options;
  }

  enriched(item: WorkItem, analysis: Analysed, receiver: Receiver<boolean>): void {
    const outcome = enriched(item.source, item.event, analysis, this.#options.clock.now());
    if (item.span) forward(this.#emitTraced(item, item.span, outcome, item.answered), receiver);
    else this.#post(item, outcome, item.answered, receiver);
  }

  /**
   * The record on chat.replay first, and only when it is acked the degraded outcome: a crash in between leaves a replay
   * too many, which changes nothing, and never a degraded row that is never looked at again (docs/adr/0011).
   */
  async degraded(item: WorkItem, insight: Insight, attempts: number): Promise<boolean> {
    const { claim, record, source, event } = item;
    const { codec, topics, metrics, clock } = this.#options;
    const outcome = degraded(source, event, { insight, attempts, enrichedAt: clock.now() });
    if (!claim.active) return false;
    await this.#send(item.span, deferral(topics.replay, codec, record, source, event, outcome.revision));
    metrics.deferred.inc();
    return await this.#emit(item, outcome, item.answered);
  }

  /** Sends an early answer without waiting for its ack, since the final outcome follows. */
  provisional(item: WorkItem, insight: Insight): void {
    const { metrics, log } = this.#options;
    const outcome = provisional(item.source, item.event, {
      insight,
      attempts: 0,
      enrichedAt: this.#options.clock.now(),
    });
    item.answered = true;
    metrics.firstAnswer.observe(secondsOf(outcome));
    this.#send(item.span, this.#outcomeRecord(item, outcome), outcome).catch((error: unknown) => {
      const { partition, offset } = item.source;
      log.warn({ err: error, partition, offset, ...traceIdOf(item.span) }, 'an early answer is lost');
    });
  }

  async deadLettered(
    at: Place,
    event: ChatEvent | undefined,
    why: {
      readonly reason: DlqReason;
      readonly detail: string;
      readonly attempts: number;
      /** Where it failed before, and was tried again since: ms since the epoch. */
      readonly firstFailedAt?: EpochMs;
    },
    answered = false,
  ): Promise<boolean> {
    const { clock, topics, metrics, log } = this.#options;
    const { claim, record, source, span } = at;
    const now = clock.now();
    const letter = deadLetter(topics.dlq, record, source, {
      ...why,
      firstFailedAt: why.firstFailedAt ?? now,
      failedAt: now,
      service: 'enricher',
    });
    const outcome = deadLettered(source, record, event, { ...why, enrichedAt: now });
    if (!claim.active) return false;
    span?.fail(why.reason);
    // The letter keeps the record's own headers: a replay goes on from there.
    const sent = sendDeadLetter((record) => this.#send(span, record, undefined, record.headers), letter);
    const [, emitted] = await Promise.all([sent, this.#emit(at, outcome, answered)]);
    metrics.deadLetters.inc({ reason: why.reason });
    const { topic, partition, offset } = source;
    const fields = { reason: why.reason, detail: why.detail, topic, partition, offset, ...traceIdOf(span) };
    log.warn(fields, 'a record is dead-lettered');
    return emitted;
  }

  /** One outcome for `source.offset..lastOffset`, which retention removed. */
  gap(claim: Claim, source: Coordinates, lastOffset: number): Promise<boolean> {
    const record = { offset: source.offset, timestamp: 0, key: null, value: null, headers: {}, size: 0 };
    return this.#emit({ claim, record, source }, gap(source, lastOffset, this.#options.clock.now()), true);
  }

  #emit(at: Place, outcome: ChatOutcome, answered: boolean): Promise<boolean> {
    if (at.span) return this.#emitTraced(at, at.span, outcome, answered);
    return new Promise((received, failed) => this.#post(at, outcome, answered, { received, failed }));
  }

  #post(at: Place, outcome: ChatOutcome, answered: boolean, receiver: Receiver<boolean>): void {
    if (!at.claim.active) {
      receiver.received(false);
      return;
    }
    this.#options.producer.post(this.#outcomeRecord(at, outcome), (error) => {
      if (error) {
        receiver.failed(error);
        return;
      }
      this.#count(at, outcome, answered);
      receiver.received(true);
    });
  }

  async #emitTraced(at: Place, span: Span, outcome: ChatOutcome, answered: boolean): Promise<boolean> {
    const { claim } = at;
    if (!claim.active) return false;
    span.set({ ...attributesOf(outcome), 'parley.provisional': answered });
    await this.#send(span, this.#outcomeRecord(at, outcome), outcome);
    this.#count(at, outcome, answered);
    return true;
  }

  #count({ claim, record, startedAtMs }: Place, outcome: ChatOutcome, answered: boolean): void {
    const { metrics, topics, clock } = this.#options;
    const lane = claim.topic === topics.replay ? 'replay' : 'live';
    metrics.outcomes(outcome.outcome, lane);
    const seconds = secondsOf(outcome);
    metrics.latency.observe(seconds, lane);
    if (lane === 'replay') return;
    if (!answered) metrics.firstAnswer.observe(seconds);
    if (startedAtMs !== undefined) observeStages(metrics.stages, record, outcome, startedAtMs, clock);
  }

  /** With a span of its own, whose context the record carries on, where the message is traced. */
  #send(
    parent: Span | undefined,
    record: OutgoingRecord,
    outcome?: ChatOutcome,
    headers?: OutgoingRecord['headers'],
  ): Promise<void> {
    const { producer, tracer } = this.#options;
    if (!parent || !tracer) return producer.send(record);
    const span = startSend(tracer, record, outcome ? attributesOf(outcome) : {}, parent.context);
    const sent = producer.send({ ...record, headers: headers ?? { ...record.headers, ...traceHeaders(span.context) } });
    return sent
      .catch((error: unknown) => {
        span.fail(error instanceof Error ? error.name : 'other');
        throw error;
      })
      .finally(() => span.end());
  }

  #outcomeRecord({ claim, record }: Place, outcome: ChatOutcome) {
    return {
      topic: this.#options.topics.enriched,
      partition: outcomePartition(claim.partition, this.#options.enrichedPartitions),
      key: record.key,
      value: this.#options.codec.encodeOutcome(outcome),
      headers: passOnHeaders(record.headers, outcomeHeaders(outcome)),
    };
  }
}

const secondsOf = ({ enriched_at, received_at }: ChatOutcome): number => Math.max(enriched_at - received_at, 0) / 1_000;

const attributesOf = ({ outcome, provisional: early, revision, attempts, cache_hit: cacheHit }: ChatOutcome) => ({
  'parley.outcome': outcome,
  'parley.provisional': early,
  'parley.revision': revision,
  'parley.attempts': attempts,
  'parley.cache_hit': cacheHit,
});
