/** A place in a text; both count from 1, and characters are Unicode code points of the line. */
export interface Place {
  readonly line: number;
  /** Null where only the line is known. */
  readonly character: number | null;
}

const NEWLINE = 0x0a;
const isContinuation = (byte: number) => (byte & 0xc0) === 0x80;

/** Turns byte offsets of UTF-8 that comes in chunks, asked in ascending order, into places. */
export class Places {
  #line = 1;
  #character = 1;
  #offset = 0;
  /** Those that hold bytes from `#offset` on, and where the first of them begins. */
  #chunks: Uint8Array[] = [];
  #start = 0;

  /** The next chunk. @param upTo offsets below will not be asked any more */
  add(chunk: Uint8Array, upTo: number): void {
    this.#moveTo(upTo);
    for (let first = this.#chunks[0]; first && this.#start + first.length <= this.#offset; first = this.#chunks[0]) {
      this.#start += first.length;
      this.#chunks.shift();
    }
    this.#chunks.push(chunk);
  }

  /** The place of the byte at this offset. */
  at(offset: number): Place {
    this.#moveTo(offset);
    return { line: this.#line, character: this.#character };
  }

  /** The character that begins at this offset; U+FFFD where it is cut. */
  characterAt(offset: number): string {
    const bytes = Buffer.concat(this.#chunks);
    const [found = '\ufffd'] = bytes.subarray(offset - this.#start, offset - this.#start + 4).toString('utf8');
    return found;
  }

  #moveTo(offset: number): void {
    let chunkStart = this.#start;
    for (const chunk of this.#chunks) {
      const end = Math.min(chunkStart + chunk.length, offset);
      for (; this.#offset < end; this.#offset++) {
        const byte = chunk[this.#offset - chunkStart];
        if (byte === NEWLINE) {
          this.#line += 1;
          this.#character = 1;
        } else if (byte !== undefined && !isContinuation(byte)) this.#character += 1;
      }
      chunkStart += chunk.length;
    }
  }
}
