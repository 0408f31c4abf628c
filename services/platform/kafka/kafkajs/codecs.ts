import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import { compressSync as compressSnappy, uncompressSync as uncompressSnappy } from 'snappy';
import type { Compression } from '../connection.ts';

/**
 * Bytes of a batch when it is decompressed, at most: a batch of a few kilobytes that unpacks to gigabytes would end the
 * process. Producers close a batch at 1 MB before compression by default (`max.request.size`, `batch.size`), and the
 * largest that Parley's topics take is 1 MB after it: sixteen times that leaves room for any honest ratio.
 */
export const MAX_DECOMPRESSED_BYTES = 16 << 20;

/** Kafka's numbers of the codecs, in the lowest three bits of a batch's attributes. */
export const CODEC_NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

type Decompress = (bytes: Buffer) => Buffer;
const DECOMPRESS: readonly (Decompress | undefined)[] = [
  (bytes) => bytes,
  (bytes) => gunzipSync(bytes, { maxOutputLength: MAX_DECOMPRESSED_BYTES }),
  decompressSnappy,
  decompressLz4,
  (bytes) => zstdDecompressSync(bytes, { maxOutputLength: MAX_DECOMPRESSED_BYTES }),
];

/**
 * The records of a batch as they were before compression.
 *
 * @param codec Kafka's number of it.
 * @throws {RangeError} where the codec is unknown or the result would be larger than {@link MAX_DECOMPRESSED_BYTES};
 * the library's error where the bytes are not of that codec.
 */
export function decompress(codec: number, bytes: Buffer): Buffer {
  const run = DECOMPRESS[codec];
  if (!run) throw new RangeError(`codec ${codec} is not known here; known are ${CODEC_NAMES.join(', ')}`);
  return run(bytes);
}

const COMPRESS: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => bytes,
  (bytes) => gzipSync(bytes),
  compressSnappy,
  compressFrameSync,
  (bytes) => zstdCompressSync(bytes),
];

/** The records of a batch as they travel under this codec. Snappy is written raw, as librdkafka does. */
export function compress(codec: Compression, bytes: Buffer): Buffer {
  return (COMPRESS[CODEC_NAMES.indexOf(codec)] as (bytes: Buffer) => Buffer)(bytes);
}

/** As kafkajs takes a codec, by Kafka's number of it; for tests and load, whose producers are kafkajs'. */
export const KAFKAJS_CODECS = Object.fromEntries(
  CODEC_NAMES.slice(1).map((name, index) => [
    index + 1,
    () => ({
      compress: async ({ buffer }: { buffer: Buffer }) => compress(name, buffer),
      decompress: async (bytes: Buffer) => decompress(index + 1, bytes),
    }),
  ]),
);

function bounded(bytes: number): void {
  if (bytes > MAX_DECOMPRESSED_BYTES) {
    throw new RangeError(`a batch unpacks to ${bytes} bytes; at most ${MAX_DECOMPRESSED_BYTES} are allowed`);
  }
}

/** What Java clients write: this head, two versions of 32 bits, then blocks, each behind its length in 32 bits. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEAD_BYTES = 16;

/** Java writes snappy in xerial's frame, librdkafka and Go write it raw. */
function decompressSnappy(bytes: Buffer): Buffer {
  const blocks: Buffer[] = [];
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) blocks.push(bytes);
  else {
    for (let at = XERIAL_HEAD_BYTES; at < bytes.length; ) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > bytes.length) throw new RangeError('a block of snappy reaches beyond its batch');
      blocks.push(bytes.subarray(at + 4, end));
      at = end;
    }
  }
  bounded(blocks.reduce((sum, block) => sum + snappyLength(block), 0));
  return Buffer.concat(blocks.map((block) => uncompressSnappy(block) as Buffer));
}

/** The length before compression, a varint at the start of a raw block; the library takes that much memory at once. */
function snappyLength(block: Buffer): number {
  let length = 0;
  for (let at = 0; at < 5; at++) {
    const byte = block[at] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length;
  }
  throw new RangeError('a block of snappy does not begin with its length');
}

/** The LZ4 frame format 1.6: magic, flags, the largest size of a block, then blocks until one of length zero. */
const LZ4 = { magic: 0x184d2204, magicBytes: 4, flags: 4, descriptor: 5, head: 7 } as const;
const FLAG = { blockChecksum: 0x10, contentSize: 0x08, dictionary: 0x01 } as const;
const UNCOMPRESSED_BIT = 0x80000000;
/** A byte of LZ4 stands for 255 bytes at most. */
const LZ4_MAX_RATIO = 255;

function decompressLz4(bytes: Buffer): Buffer {
  bounded(lz4Bound(bytes));
  return decompressFrameSync(bytes);
}

/** What the frame may unpack to at most, exact but for the last block: a frame need not tell its length. */
function lz4Bound(bytes: Buffer): number {
  if (bytes.readUInt32LE(0) !== LZ4.magic) throw new RangeError('no frame of LZ4');
  const flags = bytes.readUInt8(LZ4.flags);
  const largestBlock = 2 ** (8 + 2 * ((bytes.readUInt8(LZ4.descriptor) >> 4) & 7));
  let at: number = LZ4.head + (flags & FLAG.contentSize ? 8 : 0) + (flags & FLAG.dictionary ? 4 : 0);
  let bound = 0;
  for (;;) {
    const size = bytes.readUInt32LE(at);
    if (size === 0) return bound;
    const stored = size >= UNCOMPRESSED_BIT;
    const length = stored ? size - UNCOMPRESSED_BIT : size;
    bound += stored ? length : Math.min(largestBlock, length * LZ4_MAX_RATIO);
    at += 4 + length + (flags & FLAG.blockChecksum ? 4 : 0);
  }
}
