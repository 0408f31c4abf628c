import { CODEC_NAMES, decompress } from '../kafkajs/codecs.ts';
import { crc32c } from '../kafkajs/crc32c.ts';

/** Places in a record batch of format v2 (Kafka protocol guide, "Record Batch"), counted from its first byte. */
const AT = {
  length: 8,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  recordCount: 57,
  records: 61,
} as const;
const LENGTH_ENDS_AT = 12;
const MAGIC = 2;
const ATTRIBUTES = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;
/** Length, attributes, time, offset, key, value and headers of an empty record, a byte each. */
const MIN_RECORD_BYTES = 7;

/** One batch of a record set, its head read and its records not. */
export class RecordBatch {
  readonly #bytes: Buffer;
  readonly base: number;
  /** The offset behind the batch: the last ones in it may hold no record any more, where compaction removed them. */
  readonly next: number;
  readonly #attributes: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.base = Number(bytes.readBigInt64BE(0));
    this.next = this.base + Math.max(bytes.readInt32BE(AT.lastOffsetDelta), 0) + 1;
    this.#attributes = bytes.readInt16BE(AT.attributes);
  }

  /** A transaction's marker: it takes an offset and is no record. */
  get isControl(): boolean {
    return (this.#attributes & ATTRIBUTES.control) !== 0;
  }
  get isTransactional(): boolean {
    return (this.#attributes & ATTRIBUTES.transactional) !== 0;
  }
  get producerId(): bigint {
    return this.#bytes.readBigInt64BE(AT.producerId);
  }
  get codec(): string {
    const number = this.#attributes & ATTRIBUTES.codec;
    return CODEC_NAMES[number] ?? String(number);
  }
  get recordCount(): number {
    return this.#bytes.readInt32BE(AT.recordCount);
  }
  /** Milliseconds since the epoch; a record adds its own delta to it. */
  get firstTimestamp(): number {
    return Number(this.#bytes.readBigInt64BE(AT.firstTimestamp));
  }
  /** When the broker appended the batch, where the topic keeps that in place of the producer's time. */
  get appendTimestamp(): number | undefined {
    const isAppendTime = (this.#attributes & ATTRIBUTES.logAppendTime) !== 0;
    return isAppendTime ? Number(this.#bytes.readBigInt64BE(AT.maxTimestamp)) : undefined;
  }

  /**
   * The batch's records, one after another, decompressed.
   *
   * @throws where the format or the codec is unknown, or the bytes are no records.
   */
  body(): Buffer {
    const magic = this.#bytes.readInt8(AT.magic);
    if (magic !== MAGIC) throw new RangeError(`message format v${magic}; known here is v${MAGIC}`);
    const body = decompress(this.#attributes & ATTRIBUTES.codec, this.#bytes.subarray(AT.records));
    const count = this.recordCount;
    if (count < 0 || count * MIN_RECORD_BYTES > body.length) {
      throw new RangeError(`${count} records do not fit into ${body.length} bytes`);
    }
    return body;
  }

  /** @throws where the bytes are not those that the producer sent. */
  assertWhole(): void {
    const expected = this.#bytes.readUInt32BE(AT.crc);
    if (crc32c(this.#bytes, AT.attributes) !== expected) throw new RangeError('the checksum does not match');
  }
}

/** The whole batches of a record set, in order; one that is cut off at the end is left for the next fetch (KIP-74). */
export function* batchesOf(set: Buffer): Generator<RecordBatch> {
  for (let at = 0; at + AT.records <= set.length; ) {
    const end = at + LENGTH_ENDS_AT + set.readInt32BE(at + AT.length);
    if (end > set.length || end < at + AT.records) return;
    yield new RecordBatch(set.subarray(at, end));
    at = end;
  }
}
