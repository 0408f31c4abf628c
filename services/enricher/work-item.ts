import type { ChatEvent, Coordinates } from '../core/records.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Span } from '../platform/tracing/tracer.ts';
import type { AnalyseRequest, Analysis } from './analyse/cache/analyser.ts';
import type { Receiver } from './analyse/callbacks.ts';

/** What a work item is made of. */
export interface WorkItemParts {
  readonly claim: Claim;
  readonly record: FetchedRecord;
  readonly source: Coordinates;
  readonly event: ChatEvent;
  readonly isReplay: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Whether it gets a degraded outcome while the API is down. */
  readonly degrades: boolean;
  /** Undefined for a message that is not traced. */
  readonly span?: Span | undefined;
}

/** Decides what becomes of a record once its analysis is known. */
interface Processor {
  conclude(item: WorkItem, analysis: Analysis, receiver: Receiver<boolean>): void;
}

/**
 * One record on its way through the enricher, from its check to its final outcome: the request to the analyser, the
 * receiver of its analysis, and the item of the budget edge in one object.
 */
export class WorkItem implements AnalyseRequest, Receiver<Analysis> {
  readonly claim: Claim;
  readonly record: FetchedRecord;
  readonly source: Coordinates;
  readonly event: ChatEvent;
  readonly isReplay: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  /** What was left of its latency budget then. */
  readonly leftMs: number;
  readonly hedgeUntilMs: number;
  readonly onOutage: 'wait' | 'return';
  /** Undefined for a message that is not traced. */
  readonly span: Span | undefined;
  readonly #processor: Processor;
  readonly #receiver: Receiver<boolean>;
  /** What becomes of it is decided: there will be no early answer any more. */
  settled = false;
  /** An early answer went out. */
  answered = false;

  /** @param receiver gets true once Kafka has acked all that the record gave rise to, false where its claim was lost first. */
  constructor(
    { claim, record, source, event, isReplay, now, degrades, span }: WorkItemParts,
    processor: Processor,
    receiver: Receiver<boolean>,
  ) {
    this.claim = claim;
    this.record = record;
    this.source = source;
    this.event = event;
    this.isReplay = isReplay;
    this.startedAtMs = now;
    this.leftMs = event.deadline_at - now;
    this.span = span;
    this.hedgeUntilMs = !isReplay && this.leftMs > 0 ? performance.now() + this.leftMs : Number.NEGATIVE_INFINITY;
    this.onOutage = degrades && !isReplay ? 'return' : 'wait';
    this.#processor = processor;
    this.#receiver = receiver;
  }

  get id(): string {
    return this.event.message_id;
  }

  get text(): string {
    return this.event.text;
  }

  stillWanted(): boolean {
    return this.claim.active;
  }

  received(analysis: Analysis): void {
    try {
      this.#processor.conclude(this, analysis, this.#receiver);
    } catch (error) {
      this.failed(error);
    }
  }

  failed(error: unknown): void {
    this.settled = true;
    this.#receiver.failed(error);
  }
}
