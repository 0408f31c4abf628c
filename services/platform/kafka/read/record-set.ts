import { messageOf } from '../../../core/errors.ts';
import type { OffsetRange } from '../../../core/offset-ranges.ts';
import type { AbortedTransaction } from '../kafkajs/fetched-set.ts';
import type { FetchedRecord } from '../record.ts';
import { batchesOf, type RecordBatch } from './record-batch.ts';
import { RecordCursor } from './record-cursor.ts';

/** A stretch of the log that was read: it holds these records, and no other. */
interface ReadStretch {
  readonly kind: 'read';
  readonly records: readonly FetchedRecord[];
  /** Offsets of transaction markers and of aborted records: they are known to hold no record, and never held one. */
  readonly voided: readonly OffsetRange[];
  /** The offset behind the stretch. */
  readonly next: number;
}

/** A batch that is there and cannot be read. */
export interface UnreadableBatch {
  readonly kind: 'unreadable';
  readonly first: number;
  /** The offset behind the batch. */
  readonly next: number;
  readonly codec: string;
  readonly reason: string;
}

export type Stretch = ReadStretch | UnreadableBatch;

export interface RecordSet {
  readonly records: Buffer;
  /** Transactions that were aborted and have records in the set; their records are passed over. */
  readonly aborted: readonly AbortedTransaction[];
}

/**
 * Decodes a record set, in offset order. Never throws: a batch that cannot be read stands among the stretches. Transaction
 * markers, aborted records and holes of compaction belong to a stretch and give no record. Empty where the set holds no
 * whole batch.
 *
 * @param from records below this offset are passed over: a fetch brings the whole batch that holds its offset.
 * @param fetchedAtMs when the set came, for the records.
 */
export function readRecordSet(set: RecordSet, from: number, fetchedAtMs?: number): Stretch[] {
  const stretches: Stretch[] = [];
  const transactions = new Transactions(set.aborted);
  let records: FetchedRecord[] = [];
  let voided: OffsetRange[] = [];
  let next = from;
  let closedAt = from;
  const close = () => {
    if (next > closedAt) stretches.push({ kind: 'read', records, voided, next });
    records = [];
    voided = [];
    closedAt = next;
  };
  for (const batch of batchesOf(set.records)) {
    // A damaged head may say less than was read already.
    const end = Math.max(batch.next, next);
    try {
      // All or nothing: no record of a batch that turns out to be damaged in its midst.
      if (!transactions.isWanted(batch)) voided.push({ first: Math.max(batch.base, next), last: batch.next - 1 });
      else if (end > from) records.push(...decode(batch, from, fetchedAtMs));
      next = end;
    } catch (error) {
      close();
      const first = Math.max(batch.base, next);
      if (end > first)
        stretches.push({ kind: 'unreadable', first, next: end, codec: batch.codec, reason: messageOf(error) });
      closedAt = next = end;
    }
  }
  close();
  return stretches;
}

/** Which transactional batches to pass over, as the broker tells it to those who read what is committed (KIP-98). */
class Transactions {
  readonly #ahead: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#ahead = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  isWanted(batch: RecordBatch): boolean {
    while (this.#ahead[0] && this.#ahead[0].firstOffset < batch.next) {
      this.#open.add((this.#ahead.shift() as AbortedTransaction).producerId);
    }
    if (batch.isControl) {
      // The marker ends the producer's transaction; another that was aborted is in the list again.
      this.#open.delete(batch.producerId);
      return false;
    }
    return !(batch.isTransactional && this.#open.has(batch.producerId));
  }
}

function decode(batch: RecordBatch, from: number, fetchedAtMs: number | undefined): FetchedRecord[] {
  batch.assertWhole();
  const cursor = new RecordCursor(batch.body());
  const { base, firstTimestamp, appendTimestamp } = batch;
  const records: FetchedRecord[] = [];
  for (let left = batch.recordCount; left > 0; left--) {
    const end = cursor.end();
    // One byte of attributes, of which none is in use.
    cursor.at += 1;
    const timestamp = firstTimestamp + cursor.varlong();
    const offset = base + cursor.varint();
    if (offset >= from) {
      const key = cursor.field();
      const value = cursor.field();
      const headers = headersOf(cursor);
      records.push({
        offset,
        timestamp: appendTimestamp ?? timestamp,
        fetchedAtMs,
        key,
        value,
        headers,
        size: (key?.length ?? 0) + (value?.length ?? 0),
      });
    }
    cursor.at = end;
  }
  return records;
}

const PROTOTYPE = Buffer.from('__proto__');

/** For a header that stands there more than once, the last. */
function headersOf(cursor: RecordCursor): Record<string, Buffer> {
  const headers: Record<string, Buffer> = {};
  for (let left = cursor.varint(); left > 0; left--) {
    const name = cursor.field();
    const value = cursor.field();
    // Assigned, that name would change the object's prototype.
    if (name && value && !name.equals(PROTOTYPE)) headers[name.toString('utf8')] = value;
  }
  return headers;
}
