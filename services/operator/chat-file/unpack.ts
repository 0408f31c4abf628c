import { createReadStream } from 'node:fs';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { messageOf, ParleyError } from '../../core/errors.ts';
import { type Peeked, peek } from './head.ts';
import { NOBODY, type People } from './people.ts';
import { zipEntries } from './zip.ts';

/** One stream of text: a file, or a file within an archive. */
export interface Part {
  /** The file's path; within an archive `export.zip/general/2026-01-05.json`. */
  readonly path: string;
  /** `gzip`, `zstd`, `zip`, or null for a plain file. */
  readonly packing: string | null;
  readonly chunks: AsyncIterable<Buffer>;
  /** Who an archive says that its people are. */
  readonly people: People;
}

type Packing = 'gzip' | 'zstd' | 'zip' | 'bzip2' | 'xz' | '7z';

/** First bytes. `zip` also where an archive is empty. */
const SIGNATURES: readonly (readonly [Packing, string])[] = [
  ['gzip', '1f8b'],
  ['zstd', '28b52ffd'],
  ['zip', '504b0304'],
  ['zip', '504b0506'],
  ['bzip2', '425a68'],
  ['xz', 'fd377a585a00'],
  ['7z', '377abcaf271c'],
];
const SIGNATURE_BYTES = 6;
/** Files within files (a `.zst` in a `.zip`); a bomb of more layers is no export. */
const MAX_LAYERS = 3;

const UNPACKERS: Partial<Record<Packing, () => Transform>> = { gzip: createGunzip, zstd: createZstdDecompress };
/** Commands that read what this one does not. */
const COMMANDS: Partial<Record<Packing, string>> = { bzip2: 'bzcat', xz: 'xzcat', '7z': '7z x -so', zip: 'unzip -p' };

const packingOf = (head: Buffer): Packing | undefined =>
  SIGNATURES.find(([, hex]) => head.subarray(0, hex.length / 2).equals(Buffer.from(hex, 'hex')))?.[0];

/**
 * The texts of a file, unpacked; what it is packed with is told by its first bytes, not by its name. `-` is stdin.
 *
 * @throws {ParleyError} INPUT_UNREADABLE
 */
export async function* openParts(file: string, stdin: () => AsyncIterable<Buffer>): AsyncGenerator<Part, void> {
  const path = file === '-' ? 'stdin' : file;
  try {
    if (file === '-') yield* unpack(path, stdin(), null);
    else yield* unpack(path, createReadStream(file, { highWaterMark: 1 << 16 }) as AsyncIterable<Buffer>, file);
  } catch (error) {
    throw unreadable(path, error);
  }
}

export const unreadable = (path: string, error: unknown): ParleyError =>
  error instanceof ParleyError
    ? error
    : new ParleyError('INPUT_UNREADABLE', `${path} cannot be read: ${messageOf(error)}`, { cause: error });

async function* unpack(path: string, source: AsyncIterable<Buffer>, file: string | null): AsyncGenerator<Part, void> {
  const packings: Packing[] = [];
  let peeked = await peek(source, SIGNATURE_BYTES);
  for (;;) {
    const packing = packingOf(peeked.head);
    if (packing === undefined) break;
    packings.push(packing);
    if (packing === 'zip' && file !== null && packings.length === 1) {
      await peeked.chunks.return();
      for await (const entry of zipEntries(file)) {
        for await (const part of unpack(`${path}/${entry.name}`, entry.chunks, null)) {
          const packing = part.packing === null ? 'zip' : `zip, ${part.packing}`;
          yield { ...part, packing, people: entry.people };
        }
      }
      return;
    }
    const unpacker = UNPACKERS[packing];
    if (!unpacker || packings.length > MAX_LAYERS) throw new Error(advice(path, packing));
    peeked = await peek(through(peeked, unpacker()), SIGNATURE_BYTES);
  }
  yield { path, packing: packings.length > 0 ? packings.join(', ') : null, chunks: peeked.chunks, people: NOBODY };
}

function advice(path: string, packing: Packing): string {
  const command = COMMANDS[packing];
  const how = command ? `unpack it, as with: ${command} ${path} | parley send -` : 'unpack it first';
  const why = packing === 'zip' ? ' that is no file of its own' : '';
  return `it is a ${packing} file${why}; ${how}`;
}

/** The reader sees the error of either stream at its end; the callback keeps it from being thrown elsewhere too. */
function through({ chunks }: Peeked, unpacker: Transform): AsyncIterable<Buffer> {
  return pipeline(chunks, unpacker, () => {}) as Readable as AsyncIterable<Buffer>;
}
