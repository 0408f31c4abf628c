import { batchesOf } from './record-batch.ts';
import { RecordCursor } from './record-cursor.ts';

/** A record that a scan was looking for. The buffers are views into what was fetched: copy what is to outlive it. */
export interface ScannedRecord {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** The value of the header that was asked for. */
  readonly header: Buffer;
}

export interface ScanResult {
  /** The offset to go on with. */
  readonly next: number;
  /** Records looked at, matching or not. */
  readonly records: number;
  /** Batches that were passed over: a codec or a format that is not known here, or bytes that are no records. */
  readonly unreadable: number;
}

/**
 * Looks through a record set for records that carry a header, without making anything of the others: kafkajs builds
 * objects, strings and Longs of every record (docs/adr/0010 has what that costs). A batch that is cut off at the end is
 * left for the next fetch (KIP-74). Never throws: what cannot be read is passed over, and counted.
 *
 * @param from records below this offset are passed over: a fetch brings the whole batch that holds its offset.
 */
export function scanRecords(
  set: Buffer,
  from: number,
  header: string,
  onMatch: (record: ScannedRecord) => void,
): ScanResult {
  const name = Buffer.from(header);
  let next = from;
  let records = 0;
  let unreadable = 0;
  for (const batch of batchesOf(set)) {
    if (!batch.isControl) {
      try {
        const cursor = new RecordCursor(batch.body());
        for (let left = batch.recordCount; left > 0; left--) scanRecord(cursor, name, batch.base, from, onMatch);
        records += batch.recordCount;
      } catch {
        unreadable += 1;
      }
    }
    next = Math.max(next, batch.next);
  }
  return { next, records, unreadable };
}

function scanRecord(
  cursor: RecordCursor,
  name: Buffer,
  base: number,
  from: number,
  onMatch: (record: ScannedRecord) => void,
): void {
  const end = cursor.end();
  // One byte of attributes, then the timestamp, which is not asked for.
  cursor.at += 1;
  cursor.skipVarint();
  const offset = base + cursor.varint();
  const keyLength = cursor.varint();
  const keyAt = cursor.skip(keyLength);
  const valueLength = cursor.varint();
  const valueAt = cursor.skip(valueLength);
  const found = findHeader(cursor, name);
  if (found && offset >= from) {
    const { bytes } = cursor;
    onMatch({
      offset,
      key: keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength),
      value: valueLength < 0 ? null : bytes.subarray(valueAt, valueAt + valueLength),
      header: found,
    });
  }
  cursor.at = end;
}

function findHeader(cursor: RecordCursor, name: Buffer): Buffer | undefined {
  const { bytes } = cursor;
  for (let left = cursor.varint(); left > 0; left--) {
    const nameLength = cursor.varint();
    const nameAt = cursor.skip(nameLength);
    const valueLength = cursor.varint();
    const valueAt = cursor.skip(valueLength);
    const isName = nameLength === name.length && bytes.compare(name, 0, nameLength, nameAt, nameAt + nameLength) === 0;
    if (valueLength >= 0 && isName) return bytes.subarray(valueAt, valueAt + valueLength);
  }
  return undefined;
}
