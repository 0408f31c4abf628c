import { createReadStream } from 'node:fs';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { messageOf, ParleyError } from '../core/errors.ts';
import { type Line, MAX_LINE_BYTES } from './chat-line.ts';

const NEWLINE = 0x0a;

/**
 * The lines of a file, plain or gzip (told apart by its first bytes). Lines end at `\n` alone: `node:readline` would
 * also break at U+2028 and U+2029, which may stand inside a JSON text. Empty lines are left out.
 *
 * @throws {ParleyError} INPUT_UNREADABLE
 */
export async function* readLines(file: string): AsyncGenerator<Line, void> {
  try {
    yield* splitLines(await open(file));
  } catch (error) {
    throw new ParleyError('INPUT_UNREADABLE', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

async function open(file: string): Promise<Readable> {
  const source = createReadStream(file, { highWaterMark: 1 << 16 });
  const head = await firstBytes(source);
  if (!(head?.[0] === 0x1f && head[1] === 0x8b)) return source;
  // The reader sees the error of either stream at its end; the callback keeps it from being thrown elsewhere too.
  return pipeline(source, createGunzip(), () => {});
}

function firstBytes(source: Readable): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    source.once('error', reject);
    source.once('readable', () => {
      source.off('error', reject);
      const head = source.read() as Buffer | null;
      if (head) source.unshift(head);
      resolve(head);
    });
  });
}

/** Exported for its test: chunks may break anywhere, also inside a character. */
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
