import { setTimeout as delay } from 'node:timers/promises';
import type { EpochMs } from '../core/brands.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { ChatEvent, Coordinates } from '../core/records.ts';
import { type DlqReason, MAX_REPLAYS } from '../core/wire-codes.ts';
import { type ChatCodec, type Decoded, RegistryUnavailableError } from '../platform/avro/codec.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Logger } from '../platform/logger.ts';
import type { Span } from '../platform/tracing/tracer.ts';
import type { Analysed, Analyser, Analysis } from './analyse/cache/analyser.ts';
import { forward, type Receiver } from './analyse/callbacks.ts';
import { faultOf } from './event-check.ts';
import type { Fallback } from './fallback/fallback.ts';
import type { EarlyAnswers } from './outage/early-answers.ts';
import type { StormGuard } from './outage/storm-guard.ts';
import type { OutcomeEmitter } from './outcome-emitter.ts';
import { WorkItem } from './work-item.ts';

export interface ProcessorOptions {
  readonly codec: ChatCodec;
  readonly analyser: Pick<Analyser, 'ask' | 'analyse' | 'probe'>;
  readonly emitter: OutcomeEmitter;
  readonly early: EarlyAnswers;
  readonly fallback: Fallback;
  readonly storm: StormGuard;
  /** `chat.replay` with the prefix. */
  readonly replayTopic: string;
  readonly onOutage: 'degrade' | 'wait';
  readonly clock: Clock;
  readonly log: Logger;
}

type Checked =
  | { readonly kind: 'event'; readonly event: ChatEvent }
  | { readonly kind: 'poison'; readonly reason: DlqReason; readonly detail: string; readonly event?: ChatEvent };
type Failure = Extract<Analysis, { kind: 'rejected' | 'exhausted' }>;

const REGISTRY_RETRY_MS = 500;
const LOST = Promise.resolve(false);

/**
 * The way of one record through the enricher:
 *
 *     decode ─▶ check ─▶ analyse ──────────────▶ outcome on chat.enriched
 *        │         │        ├── API down ──────▶ chat.replay, then a degraded outcome
 *        │         │        └── text given up ─▶ storm guard ─┐
 *        └─────────┴─────────────────────────────────────────┴▶ dead letter on chat.dlq, and its outcome
 *
 * A record is done when Kafka has acked all that it gave rise to, so that its offset is complete.
 */
export class RecordProcessor {
  readonly #options: ProcessorOptions;

  constructor(options: ProcessorOptions) {
    this.#options = options;
  }

  /**
   * @param receiver gets true once Kafka has acked all that the record gave rise to, false where its claim was lost first.
   * @param span of a message that is traced; the caller ends it.
   */
  process(claim: Claim, record: FetchedRecord, receiver: Receiver<boolean>, span?: Span): void {
    try {
      const decoded = this.#options.codec.decodeEvent(record.value);
      if (!(decoded instanceof Promise)) this.#take(claim, record, decoded, receiver, span);
      else
        this.#waitForDecoding(claim, record, decoded)
          .then((event) => {
            if (event) this.#take(claim, record, event, receiver, span);
            else receiver.received(false);
          })
          .catch((error: unknown) => receiver.failed(error));
    } catch (error) {
      receiver.failed(error);
    }
  }

  /** Puts on chat.enriched that `first..last` are gone unread. */
  async skip(claim: Claim, first: number, last: number): Promise<boolean> {
    const { topic, partition } = claim;
    this.#options.log.error(
      { topic, partition, first, last },
      'records are gone unread: they were removed from the log, or their batch cannot be read',
    );
    return await this.#options.emitter.gap(claim, sourceOf(claim, first), last);
  }

  #take(
    claim: Claim,
    record: FetchedRecord,
    decoded: Decoded<ChatEvent>,
    receiver: Receiver<boolean>,
    span: Span | undefined,
  ): void {
    const { analyser, clock, early, emitter, replayTopic, onOutage } = this.#options;
    if (!claim.active) {
      receiver.received(false);
      return;
    }
    const isReplay = claim.topic === replayTopic;
    const checked = check(decoded, isReplay);
    const source = sourceOf(claim, record.offset);
    if (checked.kind === 'poison') {
      const place = { claim, record, source, span };
      forward(emitter.deadLettered(place, checked.event, { ...checked, attempts: 0 }), receiver);
      return;
    }
    const now = clock.now();
    const degrades = onOutage === 'degrade';
    const item = new WorkItem(
      { claim, record, source, event: checked.event, isReplay, now, degrades, span },
      this,
      receiver,
    );
    span?.set({ 'parley.message_id': item.id, 'parley.replay': isReplay });
    early.watch(item);
    analyser.ask(item, item);
  }

  /** For a {@link WorkItem}: its analysis is known. */
  conclude(item: WorkItem, analysis: Analysis, receiver: Receiver<boolean>): void {
    if (analysis.kind === 'analysed') this.#enriched(item, analysis, false, receiver);
    else forward(isFailure(analysis) ? this.#failed(item, analysis) : this.#conclude(item, analysis, false), receiver);
  }

  #enriched(item: WorkItem, analysis: Analysed, probe: boolean, receiver: Receiver<boolean>): void {
    const { emitter, storm } = this.#options;
    item.settled = true;
    // An answer out of the cache says nothing of the API.
    if (analysis.attempts > 0) storm.passed(probe);
    else storm.forget(probe);
    emitter.enriched(item, analysis, receiver);
  }

  /** @param probe whether the analysis was the storm guard's probe. */
  #conclude(item: WorkItem, analysis: Exclude<Analysis, Failure>, probe: boolean): Promise<boolean> {
    const { storm } = this.#options;
    item.settled = true;
    switch (analysis.kind) {
      case 'analysed':
        return new Promise((received, failed) => this.#enriched(item, analysis, probe, { received, failed }));
      case 'unavailable':
        storm.forget(probe);
        return this.#degrade(item, analysis.attempts);
      case 'abandoned':
        storm.forget(probe);
        return LOST;
    }
  }

  /** Dead-letters the record, or analyses it again for as long as the storm guard says so. */
  async #failed(item: WorkItem, first: Failure): Promise<boolean> {
    const { storm, clock } = this.#options;
    const firstFailedAt = clock.now();
    try {
      let probe = false;
      for (let failure = first; ; ) {
        const verdict = await storm.failed(probe, item);
        if (verdict === 'abandoned') return false;
        if (verdict === 'dead_letter') return await this.#giveUp(item, failure, firstFailedAt);
        probe = verdict === 'probe';
        const analysis = await this.#again(item, probe);
        if (!isFailure(analysis)) return await this.#conclude(item, analysis, probe);
        failure = analysis;
      }
    } finally {
      item.settled = true;
    }
  }

  /** A probe asks the API itself: an answer out of the cache would not say how the API is. */
  async #again(item: WorkItem, probe: boolean): Promise<Analysis> {
    const { analyser, storm } = this.#options;
    try {
      return await (probe ? analyser.probe(item) : analyser.analyse(item));
    } catch (error) {
      storm.forget(probe);
      throw error;
    }
  }

  async #degrade(item: WorkItem, attempts: number): Promise<boolean> {
    const { fallback, emitter } = this.#options;
    const insight = await fallback.inTurn(item.text, item);
    return insight !== undefined && (await emitter.degraded(item, insight, attempts));
  }

  /** After three failed replays a record is parked for good (docs/architecture.md); its row stays as it is. */
  async #giveUp(item: WorkItem, { kind, detail, attempts }: Failure, firstFailedAt: EpochMs): Promise<boolean> {
    item.settled = true;
    const { event, isReplay } = item;
    const isLast = isReplay && event.replay_attempt >= MAX_REPLAYS;
    const reason = isLast ? 'replay_exhausted' : kind === 'rejected' ? 'nlp_rejected' : 'nlp_exhausted';
    return await this.#options.emitter.deadLettered(
      item,
      event,
      { reason, detail, attempts, firstFailedAt },
      item.answered,
    );
  }

  /** Waits for the registry for as long as it takes: its outage is not poison. */
  async #waitForDecoding(
    claim: Claim,
    record: FetchedRecord,
    first: Promise<Decoded<ChatEvent>>,
  ): Promise<Decoded<ChatEvent> | undefined> {
    const { codec, log } = this.#options;
    for (let decoding: Decoded<ChatEvent> | Promise<Decoded<ChatEvent>> = first; ; ) {
      try {
        return await decoding;
      } catch (error) {
        if (!(error instanceof RegistryUnavailableError)) throw error;
        log.warn({ err: messageOf(error), topic: claim.topic, partition: claim.partition }, 'waiting for the registry');
        await delay(REGISTRY_RETRY_MS);
        if (!claim.active) return undefined;
        decoding = codec.decodeEvent(record.value);
      }
    }
  }
}

function check(decoded: Decoded<ChatEvent>, isReplay: boolean): Checked {
  if (!decoded.ok) return { kind: 'poison', reason: decoded.reason, detail: decoded.detail };
  const fault = faultOf(decoded.value, isReplay);
  if (fault) return { kind: 'poison', reason: 'invalid', detail: fault, event: decoded.value };
  return { kind: 'event', event: decoded.value };
}

const isFailure = (analysis: Analysis): analysis is Failure =>
  analysis.kind === 'rejected' || analysis.kind === 'exhausted';

const sourceOf = ({ topicId, topic, partition }: Claim, offset: number): Coordinates => ({
  topic_id: topicId,
  topic,
  partition,
  offset,
});
