import { peek } from './head.ts';

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

export interface Decoded {
  readonly encoding: Encoding;
  /** UTF-8 without byte order mark. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Bytes that are no text in this encoding, each replaced by U+FFFD: an older code page, or a file that is no text. */
  readonly replaced: () => number;
}

const MARKS: readonly (readonly [Encoding, string])[] = [
  ['utf-8', 'efbbbf'],
  ['utf-16le', 'fffe'],
  ['utf-16be', 'feff'],
];
const REPLACEMENT = Buffer.from('\ufffd');

/** By its mark; without one UTF-16 shows by the zero in each of its first characters, which are ASCII in JSON and dates. */
function encodingOf(head: Buffer): Encoding {
  const marked = MARKS.find(([, hex]) => head.subarray(0, hex.length / 2).equals(Buffer.from(hex, 'hex')))?.[0];
  if (marked) return marked;
  if (head.length < 4) return 'utf-8';
  const zeros = [...head.subarray(0, 4)].map((byte) => byte === 0);
  if (!zeros[0] && zeros[1] && !zeros[2] && zeros[3]) return 'utf-16le';
  return zeros[0] && !zeros[1] && zeros[2] && !zeros[3] ? 'utf-16be' : 'utf-8';
}

/** A text as UTF-8, whatever Unicode encoding it is in. */
export async function decode(source: AsyncIterable<Buffer>): Promise<Decoded> {
  const { head, chunks } = await peek(source, 4);
  const encoding = encodingOf(head);
  let replaced = 0;
  async function* decoded() {
    // The mark is skipped by the decoder.
    const decoder = new TextDecoder(encoding);
    let honest = 0;
    for await (const chunk of chunks) {
      const text = Buffer.from(decoder.decode(chunk, { stream: true }));
      const found = count(text);
      if (found > 0) {
        honest += encoding === 'utf-8' ? count(chunk) : found;
        replaced += Math.max(found - honest, 0);
        honest = Math.max(honest - found, 0);
      }
      if (text.length > 0) yield text;
    }
    const rest = Buffer.from(decoder.decode());
    replaced += count(rest);
    if (rest.length > 0) yield rest;
  }
  return { encoding, chunks: decoded(), replaced: () => replaced };
}

/** U+FFFD that the text itself holds is no fault. */
function count(bytes: Buffer): number {
  let times = 0;
  for (let at = bytes.indexOf(REPLACEMENT); at >= 0; at = bytes.indexOf(REPLACEMENT, at + 3)) times += 1;
  return times;
}
