import { Transform, type TransformCallback } from 'node:stream';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { compress, uncompress } from 'lz4-napi';
import { cityHash128 } from './cityhash128.ts';
import { ClickHouseException } from './exception.ts';

/**
 * ClickHouse's own compressed blocks (`compress=1`, `decompress=1`): CityHash128 of what follows (16 bytes), method (1),
 * size with these 9 bytes (4), size of the content (4), content. Little-endian.
 */
const CHECKSUM = 16;
const HEADER = 9;
const LZ4 = 0x82;
const ZSTD = 0x90;
const NONE = 0x02;
/** What the server writes at most in one block by default (`max_compress_block_size`). */
const BLOCK_BYTES = 1024 * 1024;
/** As in the server (`MAX_COMPRESSED_SIZE` is 1 GiB there; here a block is held in memory beside others). */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

export type BlockMethod = 'lz4' | 'zstd';

const toZstd = promisify(zstdCompress);
const fromZstd = promisify(zstdDecompress);

/** One block. */
export async function compressBlock(content: Buffer, method: BlockMethod): Promise<Buffer> {
  // lz4-napi puts the size of the content before it, which here stands in the header.
  const packed = method === 'zstd' ? await toZstd(content) : (await compress(content)).subarray(4);
  const body = Buffer.alloc(HEADER + packed.length);
  body[0] = method === 'zstd' ? ZSTD : LZ4;
  body.writeUInt32LE(body.length, 1);
  body.writeUInt32LE(content.length, 5);
  packed.copy(body, HEADER);
  return Buffer.concat([cityHash128(body), body]);
}

async function decompressBlock(body: Buffer): Promise<Buffer> {
  const content = body.subarray(HEADER);
  const size = body.readUInt32LE(5);
  let unpacked: Buffer;
  if (body[0] === NONE) unpacked = content;
  else if (body[0] === ZSTD) unpacked = await fromZstd(content, { maxOutputLength: size });
  else if (body[0] === LZ4) unpacked = await uncompress(Buffer.concat([body.subarray(5, HEADER), content]));
  else throw corrupt(`unknown compression method 0x${body[0]?.toString(16)}; known are 0x82, 0x90 and 0x02`);
  if (unpacked.length !== size) throw corrupt(`a block has ${unpacked.length} bytes instead of ${size}`);
  return unpacked;
}

const corrupt = (text: string) => new ClickHouseException('CANNOT_DECOMPRESS', `Cannot decompress the body: ${text}`);

/** Bytes in, blocks out: each block as full as may be, the rest when the stream is flushed or ends. */
export class BlockCompressor extends Transform {
  readonly #method: BlockMethod;
  #pending: Buffer[] = [];
  #bytes = 0;

  constructor(method: BlockMethod) {
    super();
    this.#method = method;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#pending.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < BLOCK_BYTES) done();
    else this.#emit().then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    this.#emit().then(() => done(), done);
  }

  /** Like that of zlib's streams. */
  flush(done: () => void): void {
    this.#emit().then(done, (error: Error) => this.destroy(error));
  }

  async #emit(): Promise<void> {
    const content = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#bytes = 0;
    for (let at = 0; at < content.length; at += BLOCK_BYTES) {
      this.push(await compressBlock(content.subarray(at, at + BLOCK_BYTES), this.#method));
    }
  }
}

/** Blocks in, bytes out. Fails with CANNOT_DECOMPRESS or CHECKSUM_DOESNT_MATCH, and when the stream ends in a block. */
export class BlockDecompressor extends Transform {
  #pending: Buffer = Buffer.alloc(0);

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#drain().then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    done(this.#pending.length > 0 ? corrupt('it ends within a block') : null);
  }

  async #drain(): Promise<void> {
    while (this.#pending.length >= CHECKSUM + HEADER) {
      const size = this.#pending.readUInt32LE(CHECKSUM + 1);
      const unpacked = this.#pending.readUInt32LE(CHECKSUM + 5);
      if (size < HEADER || size > MAX_BLOCK_BYTES || unpacked > MAX_BLOCK_BYTES) {
        throw corrupt(`a block of ${size} bytes (${unpacked} decompressed); at most ${MAX_BLOCK_BYTES} are allowed`);
      }
      if (this.#pending.length < CHECKSUM + size) return;
      const body = this.#pending.subarray(CHECKSUM, CHECKSUM + size);
      if (!cityHash128(body).equals(this.#pending.subarray(0, CHECKSUM))) {
        throw new ClickHouseException('CHECKSUM_DOESNT_MATCH', 'Checksum doesn’t match: corrupted data');
      }
      this.push(await decompressBlock(body).catch((error: unknown) => Promise.reject(asCorrupt(error))));
      this.#pending = this.#pending.subarray(CHECKSUM + size);
    }
  }
}

const asCorrupt = (error: unknown): ClickHouseException =>
  error instanceof ClickHouseException ? error : corrupt(error instanceof Error ? error.message : String(error));
