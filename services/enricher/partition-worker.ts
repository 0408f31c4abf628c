import { Link, LinkedList } from '../core/collections/linked-list.ts';
import { encodeLedger } from '../core/ledger-metadata.ts';
import type { OffsetLedger } from '../core/offset-ledger.ts';
import { type Claim, ClaimLostError, type PartitionHandler } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Span } from '../platform/tracing/tracer.ts';
import type { Receiver } from './analyse/callbacks.ts';

/** One thing to do for a partition: a record, or a range of offsets that retention removed. */
export type Job = RecordJob | GapJob;

/** Receives how the work on it ended: true once Kafka has acked all that it gave rise to, false when its claim was lost. */
class Work extends Link implements Receiver<boolean> {
  readonly worker: PartitionWorker;
  /** Monotonic; undefined until it is started. */
  startedAtMs: number | undefined = undefined;

  constructor(worker: PartitionWorker) {
    super();
    this.worker = worker;
  }

  received(isDone: boolean): void {
    this.worker.events.ended(this as Work as Job, isDone);
  }

  failed(error: unknown): void {
    this.worker.events.failed(this as Work as Job, error);
  }
}

class RecordJob extends Work {
  readonly kind = 'record';
  readonly record: FetchedRecord;
  /** Undefined for a message that is not traced. */
  readonly span: Span | undefined;

  constructor(worker: PartitionWorker, record: FetchedRecord, span?: Span) {
    super(worker);
    this.record = record;
    this.span = span;
  }
}

class GapJob extends Work {
  readonly kind = 'gap';
  readonly first: number;
  readonly last: number;

  constructor(worker: PartitionWorker, first: number, last: number) {
    super(worker);
    this.first = first;
    this.last = last;
  }
}

/** What a partition reports to the enricher that runs it. */
export interface WorkerEvents {
  /** The span of a record that is to be done; undefined where it is not traced. */
  readonly trace?: ((claim: Claim, record: FetchedRecord) => Span | undefined) | undefined;
  /** A job that may be started now. */
  readonly offer: (worker: PartitionWorker, job: Job) => void;
  /** Work on a job is over. */
  readonly ended: (job: Job, isDone: boolean) => void;
  /** Work on a job failed for a reason that was not foreseen: it is to be done again. */
  readonly failed: (job: Job, error: unknown) => void;
  /** A record that an earlier instance completed was stepped over. */
  readonly skipped: () => void;
  /** A rejoin is near: nothing is started until it is over. */
  readonly settling: (worker: PartitionWorker) => void;
  /** The partition was kept over the rejoin. */
  readonly kept: (worker: PartitionWorker) => void;
  /** The partition is gone: what it offered and was not started is void. */
  readonly released: (worker: PartitionWorker) => void;
}

/** A partition whose span was full is fetched again when this part of it is free, so that a fetch brings more than one record. */
const SPAN_PART_TO_RESUME = 4;
/** Share of the time to settle that work in flight may take; the rest is the commit's. */
const SETTLE_WORK_SHARE = 0.75;

/** @returns the first offset of a job. */
export const offsetOf = (job: Job): number => (job.kind === 'record' ? job.record.offset : job.first);

/**
 * One partition of chat.events or chat.replay in the enricher: the ledger of what was fetched. Which of the offered jobs is
 * started, and when, is up to the {@link Enricher}, which is fair between tenants and partitions.
 *
 *     consumer ─▶ every offset once: record, lost or empty ─▶ ledger ─▶ offered ─▶ started ─▶ complete
 *        ▲                    │
 *        └── handed back ◀────┘ beyond the ledger's span, or more than the instance may have queued
 *
 * A record that is handed back is fetched again later, so nothing waits here but what the ledger took; whatever has no
 * record needs no room. So the watermark reaches the record that was handed back, at the latest when all that is in
 * flight is complete, and the partition goes on.
 */
export class PartitionWorker implements PartitionHandler {
  readonly claim: Claim;
  readonly startAt: number;
  readonly #ledger: OffsetLedger;
  readonly events: WorkerEvents;
  /** Started and not ended, in the order of starting. */
  readonly #running = new LinkedList<Job>();
  /** The offset that the consumer hands over next. */
  #position: number;
  /** Records were handed back: what the consumer read behind them does not count. */
  #handedBack = false;
  #intakePaused = false;
  #spanFull = false;
  #completedSinceCommit: boolean;
  #committing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  /** @param ledger where the group stands; what lies between its watermark and the log's start is gone, a gap. */
  constructor(claim: Claim, ledger: OffsetLedger, events: WorkerEvents) {
    const { watermark } = ledger;
    this.claim = claim;
    this.startAt = Math.max(watermark, claim.logStart);
    this.#position = watermark;
    // An idle partition has a committed offset as well: without one, other tools show its lag as unknown.
    this.#completedSinceCommit = claim.committed.offset !== watermark;
    this.#ledger = ledger;
    this.events = events;
  }

  get completedAhead(): number {
    return this.#ledger.completedAhead;
  }

  /** When the oldest unfinished record was started, on the monotonic clock. */
  get oldestStartedAtMs(): number | undefined {
    return this.#running.first?.startedAtMs;
  }

  /** Offers the gap before the log's start, if there is one: no record may ever come to show it. */
  begin(): void {
    this.cutTo(this.startAt);
  }

  take(records: readonly FetchedRecord[]): void {
    this.#handedBack = false;
    for (const record of records) {
      this.#skipTo(record.offset, false);
      if (!this.#admit(record)) {
        this.#handedBack = true;
        this.claim.seek(record.offset);
        return;
      }
    }
  }

  readTo(next: number): void {
    if (!this.#handedBack) this.#skipTo(next, false);
  }

  cutTo(logStart: number): void {
    this.#handedBack = false;
    this.#skipTo(logStart, true);
  }

  started(job: Job, nowMs: number): void {
    job.startedAtMs = nowMs;
    this.#running.push(job);
  }

  /** Nothing is to be done for it any more, whether it is complete or the partition was lost. */
  ended(job: Job): void {
    this.#running.delete(job);
    if (this.#running.size === 0) this.#onIdle?.();
  }

  /** All that the job at `offset` gave rise to is acked. */
  complete(offset: number): void {
    if (!this.claim.active) return;
    this.#ledger.complete(offset);
    this.#completedSinceCommit = true;
    if (this.#spanFull && this.#hasRoomToResume()) this.#pause({ spanFull: false });
  }

  /** The instance as a whole has fetched enough, or has not. */
  setIntakePaused(intakePaused: boolean): void {
    this.#pause({ intakePaused });
  }

  /** Commits the watermark and the set above it, if anything was completed since; one commit at a time. */
  async commit(): Promise<void> {
    if (!this.#completedSinceCommit || !this.claim.active) return;
    this.#committing ??= this.#commitOnce().finally(() => {
      this.#committing = undefined;
    });
    await this.#committing;
  }

  /** Resolves within the bound, whatever the NLP API and Kafka do; a commit that takes longer goes on. */
  async settle(boundMs: number): Promise<void> {
    this.events.settling(this);
    const deadline = performance.now() + boundMs;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#running.size > 0 && this.claim.active) await within(idle, boundMs * SETTLE_WORK_SHARE);
    this.#onIdle = undefined;
    await within(this.#commitLatest(), deadline - performance.now());
  }

  kept(): void {
    this.events.kept(this);
  }

  release(): void {
    this.events.released(this);
  }

  /** What is lost gets an outcome. What never held a record gets none: it is complete at once. */
  #skipTo(next: number, lost: boolean): void {
    const first = this.#position;
    if (next <= first) return;
    this.#position = next;
    this.#ledger.takeGap(first, next - 1);
    if (lost) this.events.offer(this, new GapJob(this, first, next - 1));
    else this.complete(first);
  }

  /** Into the ledger, and on offer; false: it has to come again. */
  #admit(record: FetchedRecord): boolean {
    const { offset } = record;
    if (!this.#ledger.hasRoomFor(offset)) this.#pause({ spanFull: true });
    if (this.#spanFull || this.#intakePaused) return false;
    this.#position = offset + 1;
    const done = this.#ledger.isComplete(offset);
    this.#ledger.take(offset);
    if (!done) this.events.offer(this, new RecordJob(this, record, this.events.trace?.(this.claim, record)));
    else {
      this.#completedSinceCommit = true;
      this.events.skipped();
    }
    return true;
  }

  #hasRoomToResume(): boolean {
    return this.#ledger.hasRoomFor(this.#position + Math.floor(this.#ledger.span / SPAN_PART_TO_RESUME));
  }

  #pause({ intakePaused = this.#intakePaused, spanFull = this.#spanFull }): void {
    const before = this.#intakePaused || this.#spanFull;
    this.#intakePaused = intakePaused;
    this.#spanFull = spanFull;
    const now = intakePaused || spanFull;
    if (now && !before) this.claim.pause();
    else if (before && !now) this.claim.resume();
  }

  /** A commit that is under way may have been taken before the last record was done. */
  async #commitLatest(): Promise<void> {
    await this.#committing;
    await this.commit();
  }

  async #commitOnce(): Promise<void> {
    try {
      await this.claim.commit(() => {
        // One synchronous step: the set above belongs to exactly this watermark.
        this.#completedSinceCommit = false;
        return { offset: this.#ledger.watermark, metadata: encodeLedger(this.#ledger, this.claim.topicId) };
      });
    } catch (error) {
      if (error instanceof ClaimLostError) return;
      this.#completedSinceCommit = true;
      throw error;
    }
  }
}

/** Waits for the work, and no longer than the bound. Rejects as the work does, within it. */
async function within(work: Promise<void>, boundMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(boundMs, 0));
  });
  try {
    await Promise.race([work, bound]);
  } finally {
    clearTimeout(timer);
  }
}
