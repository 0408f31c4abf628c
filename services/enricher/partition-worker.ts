import { Fifo } from '../core/collections/fifo.ts';
import { Link, LinkedList } from '../core/collections/linked-list.ts';
import { encodeLedger } from '../core/ledger-metadata.ts';
import { OffsetLedger } from '../core/offset-ledger.ts';
import { type Claim, ClaimLostError, type PartitionHandler } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Span } from '../platform/tracing/tracer.ts';
import type { Receiver } from './analyse/callbacks.ts';

/** One thing to do of a partition: a record, or a range of offsets that retention removed. */
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
  /** Records that wait for the watermark to move, not offered yet: so many more, or fewer. */
  readonly held: (worker: PartitionWorker, records: number, bytes: number) => void;
  /** A record that an earlier instance completed was stepped over. */
  readonly skipped: () => void;
  /** The partition is gone: what it offered and was not started is void. */
  readonly released: (worker: PartitionWorker) => void;
}

/** Beyond the span so many records are kept here; then fetching of this partition pauses. */
const MAX_HELD_RECORDS = 256;

/** @returns the first offset of a job. */
export const offsetOf = (job: Job): number => (job.kind === 'record' ? job.record.offset : job.first);

/**
 * One partition of chat.events or chat.replay in the enricher: the ledger of what was fetched, and what lies beyond the
 * ledger's span. Which of the offered jobs is started, and when, is up to the {@link Enricher}, which is fair between
 * tenants and partitions.
 */
export class PartitionWorker implements PartitionHandler {
  readonly claim: Claim;
  readonly startAt: number;
  readonly #ledger: OffsetLedger;
  readonly events: WorkerEvents;
  /** Started and not ended, in the order of starting. */
  readonly #running = new LinkedList<Job>();
  readonly #held = new Fifo<FetchedRecord>();
  #expected: number;
  #intakePaused = false;
  #spanFull = false;
  #completedSinceCommit = false;
  #committing: Promise<void> | undefined;

  /** @param watermark where the group stands; what lies between it and the log's start is gone, a gap. */
  constructor(claim: Claim, watermark: number, completed: Iterable<number>, events: WorkerEvents) {
    this.claim = claim;
    this.startAt = Math.max(watermark, claim.logStart);
    this.#expected = watermark;
    this.#ledger = new OffsetLedger(watermark, completed);
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
    this.#offerGapBefore(this.startAt);
  }

  take(records: readonly FetchedRecord[]): void {
    for (const record of records) {
      if (this.#held.size === 0 && this.#admit(record)) continue;
      this.#held.push(record);
      this.events.held(this, 1, record.size);
    }
    if (this.#held.size >= MAX_HELD_RECORDS) this.#pause({ spanFull: true });
  }

  started(job: Job, nowMs: number): void {
    job.startedAtMs = nowMs;
    this.#running.push(job);
  }

  /** Nothing is to be done for it any more, whether it is complete or the partition was lost. */
  ended(job: Job): void {
    this.#running.delete(job);
  }

  /** All that the job at `offset` gave rise to is acked. */
  complete(offset: number): void {
    if (!this.claim.active) return;
    this.#ledger.complete(offset);
    this.#completedSinceCommit = true;
    if (this.#held.size > 0) this.#admitHeld();
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

  async settle(boundMs: number): Promise<void> {
    const deadline = performance.now() + boundMs;
    while (this.#running.size > 0 && performance.now() < deadline && this.claim.active) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#committing;
    await this.commit();
  }

  release(): void {
    for (let record = this.#held.shift(); record; record = this.#held.shift()) this.events.held(this, -1, -record.size);
    this.events.released(this);
  }

  /** Into the ledger, and on offer; false when the offset is beyond the span. */
  #admit(record: FetchedRecord): boolean {
    const { offset } = record;
    if (!this.#ledger.hasRoomFor(offset)) return false;
    this.#offerGapBefore(offset);
    const done = this.#ledger.isComplete(offset);
    this.#ledger.take(offset);
    this.#expected = offset + 1;
    if (!done) this.events.offer(this, new RecordJob(this, record, this.events.trace?.(this.claim, record)));
    else {
      this.#completedSinceCommit = true;
      this.events.skipped();
    }
    return true;
  }

  #admitHeld(): void {
    for (let record = this.#held.peek(); record && this.#admit(record); record = this.#held.peek()) {
      this.#held.shift();
      this.events.held(this, -1, -record.size);
    }
    if (this.#held.size < MAX_HELD_RECORDS / 2) this.#pause({ spanFull: false });
  }

  #offerGapBefore(offset: number): void {
    const first = this.#expected;
    if (offset <= first) return;
    this.#ledger.takeGap(first, offset - 1);
    this.#expected = offset;
    this.events.offer(this, new GapJob(this, first, offset - 1));
  }

  #pause({ intakePaused = this.#intakePaused, spanFull = this.#spanFull }): void {
    const before = this.#intakePaused || this.#spanFull;
    this.#intakePaused = intakePaused;
    this.#spanFull = spanFull;
    const now = intakePaused || spanFull;
    if (now && !before) this.claim.pause();
    else if (before && !now) this.claim.resume();
  }

  async #commitOnce(): Promise<void> {
    try {
      await this.claim.commit(() => {
        // One synchronous step: the set above belongs to exactly this watermark.
        this.#completedSinceCommit = false;
        return { offset: this.#ledger.watermark, metadata: encodeLedger(this.#ledger, this.claim.topicId) };
      });
    } catch (error) {
      if (!(error instanceof ClaimLostError)) throw error;
    }
  }
}
