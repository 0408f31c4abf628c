/** Ids of the load's messages end in their number: `m<number>`. */
const numberOf = (id: string): number => (id.charCodeAt(0) === 0x6d ? Number(id.slice(1)) : Number.NaN);

/** How often each message of a run was called for, and how long its answers took. */
export class DocumentBook {
  calls = new Uint8Array(0);
  /** Milliseconds between request and answer; the last of several answers counts. */
  tookMs = new Float32Array(0);

  reset(messages: number): void {
    this.calls = new Uint8Array(messages);
    this.tookMs = new Float32Array(messages);
  }

  called(id: string): void {
    const number = numberOf(id);
    const calls = this.calls[number];
    if (calls !== undefined && calls < 255) this.calls[number] = calls + 1;
  }

  answered(id: string, ms: number): void {
    const number = numberOf(id);
    if (number < this.tookMs.length) this.tookMs[number] = ms;
  }

  /** All times, then all counts. */
  toBuffer(): Buffer {
    return Buffer.concat([Buffer.from(this.tookMs.buffer), Buffer.from(this.calls.buffer)]);
  }

  static read(bytes: Buffer): DocumentBook {
    const book = new DocumentBook();
    const messages = bytes.length / 5;
    const copy = Uint8Array.from(bytes);
    book.tookMs = new Float32Array(copy.buffer, 0, messages);
    book.calls = new Uint8Array(copy.buffer, messages * 4, messages);
    return book;
  }
}
