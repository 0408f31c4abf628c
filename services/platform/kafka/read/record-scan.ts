import { gunzipSync, zstdDecompressSync } from 'node:zlib';

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

/** Places in a record batch of format v2 (Kafka protocol guide, "Record Batch"), counted from its first byte. */
const AT = { length: 8, magic: 16, attributes: 21, lastOffsetDelta: 23, recordCount: 57, records: 61 } as const;
const LENGTH_ENDS_AT = 12;
const MAGIC = 2;
const CODEC_MASK = 0x07;
const CONTROL_BATCH = 0x20;
const CODECS: Readonly<Record<number, (bytes: Buffer) => Buffer>> = { 1: gunzipSync, 4: zstdDecompressSync };

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
  for (let at = 0; at + AT.records <= set.length; ) {
    const end = at + LENGTH_ENDS_AT + set.readInt32BE(at + AT.length);
    if (end > set.length || end < at + AT.records) break;
    const base = Number(set.readBigInt64BE(at));
    if ((set.readInt16BE(at + AT.attributes) & CONTROL_BATCH) === 0) {
      try {
        const count = set.readInt32BE(at + AT.recordCount);
        new BatchScan(bodyOf(set.subarray(at, end)), name).run(count, base, from, onMatch);
        records += count;
      } catch {
        unreadable += 1;
      }
    }
    next = Math.max(next, base + set.readInt32BE(at + AT.lastOffsetDelta) + 1);
    at = end;
  }
  return { next, records, unreadable };
}

function bodyOf(batch: Buffer): Buffer {
  const codec = batch.readInt16BE(AT.attributes) & CODEC_MASK;
  const decompress = CODECS[codec];
  if (batch[AT.magic] !== MAGIC || (codec !== 0 && !decompress))
    throw new RangeError('a format that is not known here');
  const body = batch.subarray(AT.records);
  return decompress ? decompress(body) : body;
}

/** One batch's records, one after another. */
class BatchScan {
  readonly #bytes: Buffer;
  readonly #name: Buffer;
  #at = 0;

  constructor(bytes: Buffer, name: Buffer) {
    this.#bytes = bytes;
    this.#name = name;
  }

  run(count: number, base: number, from: number, onMatch: (record: ScannedRecord) => void): void {
    for (let left = count; left > 0; left--) {
      const length = this.#varint();
      const end = this.#at + length;
      if (length <= 0 || end > this.#bytes.length) throw new RangeError('a record reaches beyond its batch');
      // One byte of attributes, then the timestamp, which nobody asks for.
      this.#at += 1;
      this.#skipVarint();
      const offset = base + this.#varint();
      const keyLength = this.#varint();
      const keyAt = this.#at;
      this.#at += Math.max(keyLength, 0);
      const valueLength = this.#varint();
      const valueAt = this.#at;
      this.#at += Math.max(valueLength, 0);
      const found = this.#findHeader();
      if (found && offset >= from) {
        onMatch({
          offset,
          key: keyLength < 0 ? null : this.#bytes.subarray(keyAt, keyAt + keyLength),
          value: valueLength < 0 ? null : this.#bytes.subarray(valueAt, valueAt + valueLength),
          header: found,
        });
      }
      this.#at = end;
    }
  }

  #findHeader(): Buffer | undefined {
    for (let left = this.#varint(); left > 0; left--) {
      const nameLength = this.#varint();
      const nameAt = this.#at;
      this.#at += nameLength;
      const valueLength = this.#varint();
      const valueAt = this.#at;
      this.#at += Math.max(valueLength, 0);
      if (valueLength >= 0 && this.#isName(nameAt, nameLength)) {
        return this.#bytes.subarray(valueAt, valueAt + valueLength);
      }
    }
    return undefined;
  }

  #isName(at: number, length: number): boolean {
    return length === this.#name.length && this.#bytes.compare(this.#name, 0, length, at, at + length) === 0;
  }

  /** A zigzag varint of at most 32 bits: lengths, counts and offset deltas. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('a record reaches beyond its batch');
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
  }

  #skipVarint(): void {
    while ((this.#bytes[this.#at++] ?? 0) >= 0x80);
  }
}
