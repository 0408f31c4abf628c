import type { PartitionRecords, ProducerIdentity } from '../kafkajs/record-batch-encoder.ts';
import type { PendingRecord } from './pending-record.ts';
import { type Answer, RecordRefusedError } from './produce-answers.ts';

export interface BatchBounds {
  readonly maxRecords: number;
  readonly maxBytes: number;
}

interface Batch {
  readonly records: readonly PendingRecord[];
  readonly bytes: number;
  readonly identity: ProducerIdentity;
  readonly firstSequence: number;
}

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_000;
/** Sequences are 31 bits and begin again at 0 (`DefaultRecordBatch.incrementSequence`). */
const SEQUENCES = 2 ** 31;

/**
 * The records of one partition on their way to Kafka, at most one batch of them in flight.
 *
 * Exactly once, as the broker's idempotence gives it: it takes a batch whose sequence follows the last one, and knows
 * again a batch that it has. So a sequence is used up by a batch that is stored and by no other; a batch whose result is
 * unclear is sent again with the very same records and sequence until its answer is clear; and where that cannot be
 * (its records were given up, or the broker has lost track) the partition goes on under a new producer id, with what was
 * unclear marked as sent before.
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  #waiting: PendingRecord[] = [];
  #inFlight: Batch | undefined;
  /** The batch that may be in the log. */
  #unclear: Batch | undefined;
  #identity: ProducerIdentity | undefined;
  #spentIdentity: ProducerIdentity | undefined;
  #sequence = 0;
  #failures = 0;
  #notBeforeMs = 0;
  #maxRecords = Number.POSITIVE_INFINITY;
  #maxBytes = Number.POSITIVE_INFINITY;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** Records that are not in flight and not settled, as far as known. */
  get waiting(): number {
    return this.#waiting.length + (this.#inFlight ? 0 : (this.#unclear?.records.length ?? 0));
  }

  get inFlight(): boolean {
    return this.#inFlight !== undefined;
  }

  /** When the next batch may go out, ms of `performance.now()`. */
  get notBeforeMs(): number {
    return this.#notBeforeMs;
  }

  /** Answers since the last one that took a batch. */
  get failures(): number {
    return this.#failures;
  }

  /** The identity that must not be used again here; undefined as long as the present one is good. */
  get needsOtherIdentityThan(): ProducerIdentity | 'any' | undefined {
    return this.#identity ? undefined : (this.#spentIdentity ?? 'any');
  }

  adopt(identity: ProducerIdentity, sequence = 0): void {
    this.#identity = identity;
    this.#sequence = sequence;
  }

  push(pending: PendingRecord): void {
    this.#waiting.push(pending);
  }

  /** The next batch, now in flight: what was unclear first, as it was, or else as many records as the bounds allow. */
  take(bounds: BatchBounds): { readonly batch: PartitionRecords; readonly bytes: number } | undefined {
    const batch = this.#unclear ?? this.#cut(bounds);
    if (!batch) return undefined;
    this.#inFlight = batch;
    const { identity, firstSequence, records, bytes } = batch;
    const messages = records.map(({ record, sentBefore }) => {
      const value = sentBefore && record.resendValue ? record.resendValue() : record.value;
      return record.headers ? { key: record.key, value, headers: record.headers } : { key: record.key, value };
    });
    return { batch: { partition: this.partition, ...identity, firstSequence, messages }, bytes };
  }

  #cut({ maxRecords, maxBytes }: BatchBounds): Batch | undefined {
    if (!this.#identity) throw new Error(`${this.topic}-${this.partition} has no producer id yet`);
    const [mostRecords, mostBytes] = [Math.min(maxRecords, this.#maxRecords), Math.min(maxBytes, this.#maxBytes)];
    const records: PendingRecord[] = [];
    let bytes = 0;
    let taken = 0;
    for (const pending of this.#waiting) {
      if (!pending.settled) {
        if (records.length > 0 && (records.length >= mostRecords || bytes + pending.bytes > mostBytes)) break;
        records.push(pending);
        bytes += pending.bytes;
      }
      taken++;
    }
    this.#waiting.splice(0, taken);
    if (records.length === 0) return undefined;
    return { records, bytes, identity: this.#identity, firstSequence: this.#sequence };
  }

  /**
   * Takes Kafka's answer for the batch in flight, or for the partition when nothing is.
   *
   * @returns the records that are stored.
   */
  answer({ code, verdict }: Answer, nowMs: number): number {
    const batch = this.#inFlight;
    this.#inFlight = undefined;
    switch (verdict) {
      case 'stored':
        return this.#stored(batch as Batch);
      case 'too-large':
      case 'refused':
        this.#refused(batch as Batch, code, verdict);
        return 0;
      case 'identity':
        if (batch) this.#startAnew(batch);
        break;
      case 'unclear':
        this.#unclear = batch;
        break;
      default:
        if (batch && batch !== this.#unclear) this.#requeue(batch);
    }
    this.#pause(nowMs);
    this.#giveUpUnclear();
    return 0;
  }

  /** Forgets records that were given up. */
  dropSettled(): void {
    this.#waiting = this.#waiting.filter(({ settled }) => !settled);
    if (!this.#inFlight) this.#giveUpUnclear();
  }

  abandon(error: Error): void {
    for (const pending of this.#waiting.splice(0)) pending.settle(error);
    for (const pending of (this.#inFlight ?? this.#unclear)?.records ?? []) pending.settle(error);
  }

  #stored({ records }: Batch): number {
    this.#sequence = (this.#sequence + records.length) % SEQUENCES;
    this.#unclear = undefined;
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#maxRecords *= 2;
    for (const pending of records) pending.settle();
    return records.length;
  }

  /**
   * Halves what the next batch may hold; a batch of one is refused. Each refusal halves the bound or settles a record,
   * and each batch that is stored doubles the bound on records again: log₂ 500 = 9 requests to find one at fault. The
   * bound on bytes stays, since it is the topic's; it ends above half of `max.message.bytes`.
   */
  #refused(batch: Batch, code: string, verdict: 'too-large' | 'refused'): void {
    const [first] = batch.records;
    if (batch.records.length === 1 && first) {
      first.settle(new RecordRefusedError(code, this.topic, first.bytes));
      this.#maxRecords *= 2;
    } else if (verdict === 'too-large') this.#maxBytes = Math.floor(batch.bytes / 2);
    else this.#maxRecords = batch.records.length >> 1;
    if (batch === this.#unclear) this.#startAnew(batch);
    else this.#requeue(batch);
  }

  #requeue({ records }: Batch): void {
    this.#waiting.unshift(...records.filter(({ settled }) => !settled));
  }

  /** Under a new producer id; what may be in the log under the old one is marked. */
  #startAnew(batch: Batch): void {
    if (batch === this.#unclear) for (const pending of batch.records) pending.sentBefore = true;
    this.#unclear = undefined;
    this.#spentIdentity = this.#identity;
    this.#identity = undefined;
    this.#requeue(batch);
  }

  /** A batch of which every record was given up is not worth the wait for a clear answer. */
  #giveUpUnclear(): void {
    if (this.#unclear?.records.every(({ settled }) => settled)) this.#startAnew(this.#unclear);
  }

  #pause(nowMs: number): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, MAX_PAUSE_MS);
    this.#notBeforeMs = nowMs + pauseMs * (0.8 + Math.random() * 0.4);
  }
}
