import type { Type } from 'avsc';

const HEADER_BYTES = 5;

/** Encodes into a scratch buffer that grows to the largest record seen, then copies out: one allocation a record. */
export class AvroEncoder {
  readonly #type: Type;
  readonly #schemaId: number;
  #scratch = Buffer.allocUnsafeSlow(16_384);

  constructor(type: Type, schemaId: number) {
    this.#type = type;
    this.#schemaId = schemaId;
  }

  /** @throws when the value does not fit the schema. */
  encode(value: unknown): Buffer {
    let end = this.#type.encode(value, this.#scratch, HEADER_BYTES);
    if (end < 0) {
      // avsc answers with how many bytes were missing.
      this.#scratch = Buffer.allocUnsafeSlow(this.#scratch.length - end);
      end = this.#type.encode(value, this.#scratch, HEADER_BYTES);
    }
    const encoded = Buffer.allocUnsafe(end);
    this.#scratch.copy(encoded, HEADER_BYTES, HEADER_BYTES, end);
    encoded[0] = 0;
    encoded.writeInt32BE(this.#schemaId, 1);
    return encoded;
  }
}
