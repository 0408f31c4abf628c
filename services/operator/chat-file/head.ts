/** The beginning of a stream, and the stream with its beginning. */
export interface Peeked {
  readonly head: Buffer;
  /** Whether the head is all. */
  readonly complete: boolean;
  readonly chunks: AsyncGenerator<Buffer, void>;
}

/** Reads at least `bytes` ahead, or to the end. */
export async function peek(source: AsyncIterable<Buffer>, bytes: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  const read: Buffer[] = [];
  let length = 0;
  let complete = false;
  while (length < bytes) {
    const { value, done } = await iterator.next();
    if (done === true) {
      complete = true;
      break;
    }
    read.push(value);
    length += value.length;
  }
  async function* chunks() {
    try {
      yield* read;
      read.length = 0;
      if (!complete) yield* { [Symbol.asyncIterator]: () => iterator };
    } finally {
      await iterator.return?.();
    }
  }
  return { head: Buffer.concat(read), complete, chunks: chunks() };
}
