import type { ChatEvent, Coordinates } from '../core/records.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Span } from '../platform/tracing/tracer.ts';
import type { AnalyseRequest } from './analyse/cache/analyser.ts';

/**
 * One record on its way through the enricher, from its check to its final outcome. It is the request to the analyser and
 * the item of the budget edge as well: one object a message.
 */
export class WorkItem implements AnalyseRequest {
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
  /** Of a message that is traced. */
  readonly span: Span | undefined;
  /** What becomes of it is decided: there will be no early answer any more. */
  settled = false;
  /** An early answer went out. */
  answered = false;

  /**
   * @param now milliseconds since the epoch.
   * @param degrades whether it gets a degraded outcome while the API is down.
   */
  constructor(
    claim: Claim,
    record: FetchedRecord,
    source: Coordinates,
    event: ChatEvent,
    { isReplay, now, degrades }: { readonly isReplay: boolean; readonly now: number; readonly degrades: boolean },
    span?: Span,
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
}
