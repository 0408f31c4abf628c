import { rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { messageOf } from '../core/errors.ts';
import { BlockDecompressor } from './compressed-blocks.ts';
import { ClickHouseException } from './exception.ts';
import { Lz4FrameDecompressor } from './lz4-frame.ts';

/** The body is in ClickHouse's own compressed blocks. */
export const BLOCKS = 'clickhouse-blocks';
const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
  lz4: () => new Lz4FrameDecompressor(),
  [BLOCKS]: () => new BlockDecompressor(),
};
const encodingOf = ({ headers }: IncomingMessage) => (headers['content-encoding'] ?? 'identity').toLowerCase();
const WRITE_SIZE = 1024 * 1024;

/** A request's body, decompressed and bounded, read first in part (to find the statement) and then to the end. */
export class RequestBody {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #maxBytes: number;
  #bytes = 0;
  #ended = false;

  /**
   * @param maxBytes bound on the decompressed body.
   * @throws {ClickHouseException} UNKNOWN_COMPRESSION_METHOD.
   */
  constructor(request: IncomingMessage, maxBytes: number, encoding = encodingOf(request)) {
    this.#maxBytes = maxBytes;
    let source: Readable = request;
    if (encoding !== 'identity') {
      const create = DECODERS[encoding];
      if (!create) {
        const known = Object.keys(DECODERS)
          .filter((name) => name !== BLOCKS)
          .join(', ');
        throw new ClickHouseException(
          'UNKNOWN_COMPRESSION_METHOD',
          `Unknown content encoding ${encoding}; known are ${known}`,
        );
      }
      const decoder = create() as unknown as Readable & NodeJS.WritableStream;
      // Data may turn out broken before anybody reads: whoever reads then gets the error, and the process lives.
      decoder.on('error', () => undefined);
      request.once('error', (error) => decoder.destroy(error)).once('aborted', () => decoder.destroy());
      source = request.pipe(decoder);
    }
    this.#chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async #next(): Promise<Buffer | undefined> {
    let next: IteratorResult<Buffer>;
    try {
      next = await this.#chunks.next();
    } catch (error) {
      if (error instanceof ClickHouseException) throw error;
      throw new ClickHouseException('BAD_ARGUMENTS', `The request's body cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (next.done) {
      this.#ended = true;
      return undefined;
    }
    this.#bytes += next.value.length;
    if (this.#bytes > this.#maxBytes) {
      throw new ClickHouseException(
        'QUERY_IS_TOO_LARGE',
        `The request's body has more than ${this.#maxBytes} bytes (decompressed); send smaller inserts or raise CLICKHOUSE_MAX_BODY_BYTES`,
      );
    }
    return next.value;
  }

  /** Reads on and keeps nothing, within the bound: a client sees a refusal only once it has sent what it wanted to. */
  async discard(): Promise<void> {
    this.#bytes = 0;
    while (!this.#ended && (await this.#next().catch(() => undefined)));
  }

  /** At least `bytes` from the start, or all there is. */
  async head(bytes: number): Promise<{ readonly head: Buffer; readonly whole: boolean }> {
    const chunks: Buffer[] = [];
    let length = 0;
    while (length < bytes) {
      const chunk = await this.#next();
      if (!chunk) break;
      chunks.push(chunk);
      length += chunk.length;
    }
    return { head: Buffer.concat(chunks), whole: this.#ended };
  }

  /** Writes `first` and all that follows to a file of `dir`: the engine reads rows from files byte for byte. */
  async spool(dir: string, name: string, first: Buffer): Promise<SpoolFile> {
    const path = join(dir, name);
    const handle = this.#ended ? undefined : await open(path, 'w', 0o600);
    const file = new SpoolFile(path);
    try {
      let pending: Buffer[] = [first];
      let pendingBytes = first.length;
      for (let chunk = await this.#rest(); chunk; chunk = await this.#rest()) {
        pending.push(chunk);
        pendingBytes += chunk.length;
        if (pendingBytes < WRITE_SIZE) continue;
        await handle?.writev(pending);
        file.bytes += pendingBytes;
        pending = [];
        pendingBytes = 0;
      }
      file.bytes += pendingBytes;
      if (handle) await handle.writev(pending);
      else writeFileSync(path, Buffer.concat(pending), { mode: 0o600 });
      return file;
    } catch (error) {
      file.remove();
      throw error;
    } finally {
      await handle?.close();
    }
  }

  #rest = async (): Promise<Buffer | undefined> => (this.#ended ? undefined : this.#next());
}

/** An insert's rows on disk, to be removed after the insert. */
export class SpoolFile {
  readonly path: string;
  bytes = 0;

  constructor(path: string) {
    this.path = path;
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
