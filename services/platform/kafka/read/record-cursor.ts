const CONTINUES = 0x80;
const VALUE = 0x7f;

/** Reads the parts of records: lengths and deltas are zigzag varints, a length of -1 stands for null. */
export class RecordCursor {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** At most 32 bits: lengths, counts and offset deltas. */
  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RangeError('a record reaches beyond its batch');
      value |= (byte & VALUE) << shift;
      if (byte < CONTINUES) return (value >>> 1) ^ -(value & 1);
    }
  }

  /** At most 64 bits, exact up to 2^53: timestamp deltas. */
  varlong(): number {
    let value = 0;
    for (let factor = 1; ; factor *= VALUE + 1) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RangeError('a record reaches beyond its batch');
      value += (byte & VALUE) * factor;
      if (byte < CONTINUES) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  skipVarint(): void {
    while ((this.bytes[this.at++] ?? 0) >= CONTINUES);
  }

  /** Where the record that begins here ends. */
  end(): number {
    const length = this.varint();
    const end = this.at + length;
    if (length <= 0 || end > this.bytes.length) throw new RangeError('a record reaches beyond its batch');
    return end;
  }

  /** Passes over a field of that length; @returns where it begins. */
  skip(length: number): number {
    const from = this.at;
    this.at += Math.max(length, 0);
    return from;
  }

  /** A view of a field behind its length, null for null. */
  field(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.skip(length);
    if (this.at > this.bytes.length) throw new RangeError('a field reaches beyond its batch');
    return this.bytes.subarray(from, this.at);
  }
}
