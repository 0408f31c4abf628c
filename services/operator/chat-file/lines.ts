/** One line of a file. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Null for a line beyond {@link MAX_LINE_BYTES}. */
  readonly text: string | null;
}

/** A line may be a whole conversation: 500 turns of 8 KiB and their fields. Memory stays bounded. */
export const MAX_LINE_BYTES = 8 << 20;

const NEWLINE = 0x0a;

/**
 * The lines of UTF-8 that comes in chunks, which may break anywhere. Lines end at `\n` alone: `node:readline` would also break at
 * U+2028 and U+2029, which may stand inside a JSON text. Empty lines are left out.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Line, void> {
  let number = 1;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let overlong = false;
  const take = (rest: Buffer): Line | undefined => {
    const tooLong = overlong || pendingBytes + rest.length > MAX_LINE_BYTES;
    const text = tooLong ? null : Buffer.concat([...pending, rest]).toString('utf8');
    const line = { number: number++, text };
    pending = [];
    pendingBytes = 0;
    overlong = false;
    return text !== null && text.trim() === '' ? undefined : line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const line = take(chunk.subarray(from, at));
      from = at + 1;
      if (line) yield line;
    }
    const rest = chunk.subarray(from);
    pendingBytes += rest.length;
    if (pendingBytes > MAX_LINE_BYTES) {
      overlong = true;
      pending = [];
    } else if (rest.length > 0) pending.push(rest);
  }
  if (pendingBytes > 0) {
    const last = overlong ? { number, text: null } : take(Buffer.alloc(0));
    if (last) yield last;
  }
}
