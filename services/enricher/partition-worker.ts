import { encodeLedger } from '../core/ledger-metadata.ts';
import { OffsetLedger } from '../core/offset-ledger.ts';
import { type Claim, ClaimLostError, type FetchedRecord, type PartitionHandler } from '../platform/kafka/claim.ts';

/** What a partition tells the enricher that runs it. */
export interface WorkerEvents {
  /** Records were queued, or the watermark moved: there may be something to start. */
  readonly ready: () => void;
  readonly queued: (records: number, bytes: number) => void;
  readonly released: (worker: PartitionWorker) => void;
}

/** The next thing to do of a partition. */
export type Job =
  | { readonly kind: 'record'; readonly record: FetchedRecord }
  | { readonly kind: 'gap'; readonly first: number; readonly last: number };

/**
 * One partition of chat.events or chat.replay in the enricher: the queue of what was fetched and not started, and the
 * ledger of what was started. Starting is up to the {@link Enricher}, which is fair between partitions.
 */
export class PartitionWorker implements PartitionHandler {
  readonly claim: Claim;
  readonly startAt: number;
  readonly #ledger: OffsetLedger;
  readonly #events: WorkerEvents;
  readonly #startedAtMs = new Map<number, number>();
  #queue: FetchedRecord[] = [];
  #head = 0;
  #expected: number;
  #completedSinceCommit = false;
  #committing: Promise<void> | undefined;

  /** @param watermark where the group stands; what lies between it and the log's start is gone, a gap. */
  constructor(claim: Claim, watermark: number, completed: Iterable<number>, events: WorkerEvents) {
    this.claim = claim;
    this.startAt = Math.max(watermark, claim.logStart);
    this.#expected = watermark;
    this.#ledger = new OffsetLedger(watermark, completed);
    this.#events = events;
  }

  get queuedRecords(): number {
    return this.#queue.length - this.#head;
  }

  get completedAhead(): number {
    return this.#ledger.completedAhead;
  }

  /** When the oldest unfinished record was started, on the monotonic clock. */
  get oldestStartedAtMs(): number | undefined {
    return this.#startedAtMs.values().next().value;
  }

  take(records: readonly FetchedRecord[]): void {
    let bytes = 0;
    for (const record of records) {
      this.#queue.push(record);
      bytes += record.size;
    }
    this.#events.queued(records.length, bytes);
    this.#events.ready();
  }

  /**
   * What comes next, marked as started; undefined when nothing is queued or the span is full. Records that an earlier
   * instance completed are stepped over, `onSkipped` told of each.
   */
  start(nowMs: number, onSkipped: () => void): Job | undefined {
    for (;;) {
      if (!this.#ledger.hasRoomFor(this.#expected)) return undefined;
      const record = this.#queue[this.#head];
      const present = record?.offset ?? this.startAt;
      if (present > this.#expected) return this.#startGap(this.#expected, present - 1, nowMs);
      if (!record) return undefined;
      this.#dequeue(record);
      const done = this.#ledger.isComplete(record.offset);
      this.#ledger.take(record.offset);
      this.#expected = record.offset + 1;
      if (!done) {
        this.#startedAtMs.set(record.offset, nowMs);
        return { kind: 'record', record };
      }
      this.#completedSinceCommit = true;
      onSkipped();
    }
  }

  /** All that the item at `offset` gave rise to is acked. */
  complete(offset: number): void {
    this.#startedAtMs.delete(offset);
    if (!this.claim.active) return;
    this.#ledger.complete(offset);
    this.#completedSinceCommit = true;
    this.#events.ready();
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
    while (this.#startedAtMs.size > 0 && performance.now() < deadline && this.claim.active) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#committing;
    await this.commit();
  }

  release(): void {
    this.#events.queued(-this.queuedRecords, -this.#queue.slice(this.#head).reduce((sum, { size }) => sum + size, 0));
    this.#queue = [];
    this.#head = 0;
    this.#events.released(this);
  }

  #startGap(first: number, last: number, nowMs: number): Job {
    this.#ledger.takeGap(first, last);
    this.#startedAtMs.set(first, nowMs);
    this.#expected = last + 1;
    return { kind: 'gap', first, last };
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

  #dequeue(record: FetchedRecord): void {
    this.#head++;
    this.#events.queued(-1, -record.size);
    // Compacted rarely, so that taking from the front stays cheap.
    if (this.#head >= 1_024 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}
