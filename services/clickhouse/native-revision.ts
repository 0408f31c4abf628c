import { ClickHouseException } from './exception.ts';
import { Cursor, INCOMPLETE, skipPrefix, skipValues } from './native-types.ts';

/** From here on a column says after its type whether it is serialized in a way of its own. */
const CUSTOM_SERIALIZATION = 54_454;
/** From here on a block's head has a third field, a list. */
const OUT_OF_ORDER_BUCKETS = 54_480;
const PLAIN = Buffer.from([0]);
const FIRST_BYTES = 64 * 1024;
/** A block has 65,409 rows by default; one of 4 KiB each is 256 MiB. */
const MAX_BLOCK_BYTES = 512 * 1024 * 1024;

/** Field 1, not of overflows; field 2, bucket -1; field 3, an empty list; 0 ends the head. */
const headOf = (revision: number): Buffer =>
  Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, ...(revision >= OUT_OF_ORDER_BUCKETS ? [3, 0] : []), 0]);

/**
 * The engine writes Native blocks as of revision 0, since chdb cannot be told a client's `client_protocol_version`. Those
 * of a later revision have the same columns, with a head before each block and a byte after each type: they are put in
 * here, which takes walking over the values.
 */
export class NativeRevision {
  readonly #revision: number;
  readonly #head: Buffer;
  #pending: Buffer[] = [];
  #bytes = 0;
  /** Bytes at which it is worth looking for a whole block: doubled each time there is none. */
  #worthwhile = FIRST_BYTES;

  /** @param revision as in `client_protocol_version`; greater than 0. */
  constructor(revision: number) {
    this.#revision = revision;
    this.#head = headOf(revision);
  }

  /**
   * Takes bytes of the engine's; gives those that are whole blocks by now.
   *
   * @throws {ClickHouseException} NOT_IMPLEMENTED for a type that cannot be walked over, or a block that is too large.
   */
  feed(chunk: Buffer): Buffer[] {
    this.#pending.push(chunk);
    this.#bytes += chunk.length;
    const blocks = this.#bytes >= this.#worthwhile ? this.#blocks() : [];
    if (this.#bytes <= MAX_BLOCK_BYTES) return blocks;
    const text = `A Native block of more than ${MAX_BLOCK_BYTES} bytes; lower max_block_size`;
    throw new ClickHouseException('NOT_IMPLEMENTED', text);
  }

  /** What is left at the end of the result. */
  end(): Buffer[] {
    const blocks = this.#blocks();
    if (this.#bytes > 0) throw new Error('the result ends within a Native block');
    return blocks;
  }

  #blocks(): Buffer[] {
    const bytes = Buffer.concat(this.#pending);
    const blocks: Buffer[] = [];
    let from = 0;
    try {
      for (const cursor = new Cursor(bytes); !cursor.isAtEnd; from = cursor.at) {
        blocks.push(...this.#block(bytes, cursor));
      }
    } catch (error) {
      if (error !== INCOMPLETE) throw error;
    }
    const rest = bytes.subarray(from);
    this.#pending = [rest];
    this.#bytes = rest.length;
    this.#worthwhile = Math.max(FIRST_BYTES, rest.length * 2);
    return blocks;
  }

  #block(bytes: Buffer, cursor: Cursor): Buffer[] {
    const pieces = [this.#head];
    let from = cursor.at;
    const columns = cursor.varint();
    const rows = cursor.varint();
    for (let column = 0; column < columns; column += 1) {
      cursor.text();
      const type = cursor.text();
      if (this.#revision >= CUSTOM_SERIALIZATION) {
        pieces.push(bytes.subarray(from, cursor.at), PLAIN);
        from = cursor.at;
      }
      if (rows === 0) continue;
      skipPrefix(type, cursor);
      skipValues(type, rows, cursor);
    }
    pieces.push(bytes.subarray(from, cursor.at));
    return pieces;
  }
}
