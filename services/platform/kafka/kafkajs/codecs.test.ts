import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { decompress, MAX_DECOMPRESSED_BYTES } from './codecs.ts';

const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

/** As snappy-java frames it: 32 KiB a block. */
function xerial(bytes: Buffer, blockBytes = 32 << 10): Buffer {
  const parts: Buffer[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = compressSync(bytes.subarray(at, at + blockBytes));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

const FORMS: readonly (readonly [name: string, codec: number, compress: (bytes: Buffer) => Buffer])[] = [
  ['gzip', GZIP, (bytes) => gzipSync(bytes)],
  ['raw snappy', SNAPPY, (bytes) => compressSync(bytes)],
  ['snappy in xerial’s frame', SNAPPY, (bytes) => xerial(bytes)],
  ['LZ4 without checksums', LZ4, (bytes) => compressFrameSync(bytes)],
  ['LZ4 with checksums', LZ4, (bytes) => compressFrameSync(bytes, { contentChecksum: true, blockChecksums: true })],
  ['zstd', ZSTD, (bytes) => zstdCompressSync(bytes)],
];

const repeats = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 2_000 }))
  .map(([piece, times]) => Buffer.concat(Array(times).fill(Buffer.from(piece))));

describe.each(FORMS)('%s', (_name, codec, compress) => {
  it('comes out as it went in', () =>
    fc.assert(
      fc.property(repeats, (bytes) => decompress(codec, compress(bytes)).equals(bytes)),
      { numRuns: 30 },
    ));

  it('is read up to the bound and refused beyond it', () => {
    expect(decompress(codec, compress(Buffer.alloc(MAX_DECOMPRESSED_BYTES))).length).toBe(MAX_DECOMPRESSED_BYTES);
    const bomb = compress(Buffer.alloc(4 * MAX_DECOMPRESSED_BYTES));
    expect(() => decompress(codec, bomb)).toThrow(/unpacks to|larger than/);
  });

  it('throws an error, and no more, on damaged bytes', () =>
    fc.assert(
      fc.property(
        repeats,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (bytes, damage) => {
          const damaged = Buffer.from(compress(bytes));
          for (const [at, byte] of damage) damaged[at % damaged.length] = byte;
          try {
            return decompress(codec, damaged).length <= MAX_DECOMPRESSED_BYTES;
          } catch (error) {
            return typeof (error as Error).message === 'string';
          }
        },
      ),
      { numRuns: 100 },
    ));
});

it('a codec that is not known is named, with those that are', () => {
  expect(() => decompress(7, Buffer.alloc(1))).toThrow(
    'codec 7 is not known here; known are none, gzip, snappy, lz4, zstd',
  );
});

it('a length of gigabytes that raw snappy only claims is refused before its memory is taken', () => {
  expect(() => decompress(SNAPPY, Buffer.from('ffffffff0f00', 'hex'))).toThrow('4294967295 bytes');
});
