import { Transform, type TransformCallback } from 'node:stream';
import { uncompress } from 'lz4-napi';

/**
 * LZ4 frames (`Content-Encoding: lz4`, as clickhouse-connect sends), any number in a row. lz4-napi takes a frame whole
 * and without a bound on what comes out; here it is given block by block, with the 64 KiB before as its dictionary where
 * blocks are linked. Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
const MAGIC = 0x184d2204;
const WINDOW = 64 * 1024;
const BLOCK_SIZES: Readonly<Record<number, number>> = {
  4: 64 * 1024,
  5: 256 * 1024,
  6: 1024 * 1024,
  7: 4 * 1024 * 1024,
};

interface Frame {
  readonly linked: boolean;
  readonly blockChecksums: boolean;
  readonly contentChecksum: boolean;
  readonly blockSize: number;
}

export class Lz4FrameDecompressor extends Transform {
  #pending: Buffer = Buffer.alloc(0);
  #frame: Frame | undefined;
  #window: Buffer = Buffer.alloc(0);

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#drain().then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    done(this.#frame || this.#pending.length > 0 ? new Error('the body ends within an LZ4 frame') : null);
  }

  async #drain(): Promise<void> {
    while (this.#frame ? await this.#block(this.#frame) : this.#header());
  }

  #take(bytes: number): void {
    this.#pending = this.#pending.subarray(bytes);
  }

  /** True when a header was read, false when more bytes are needed. */
  #header(): boolean {
    if (this.#pending.length < 7) return false;
    if (this.#pending.readUInt32LE(0) !== MAGIC) throw new Error('the body is no LZ4 frame');
    const flags = this.#pending.readUInt8(4);
    const blockSize = BLOCK_SIZES[(this.#pending.readUInt8(5) >> 4) & 7];
    if (flags >> 6 !== 1 || blockSize === undefined) throw new Error('the body is an LZ4 frame of an unknown version');
    if (flags & 1) throw new Error('LZ4 frames with a dictionary are not supported here');
    const size = 7 + (flags & 8 ? 8 : 0);
    if (this.#pending.length < size) return false;
    this.#frame = {
      linked: (flags & 0x20) === 0,
      blockChecksums: (flags & 0x10) !== 0,
      contentChecksum: (flags & 4) !== 0,
      blockSize,
    };
    this.#window = Buffer.alloc(0);
    this.#take(size);
    return true;
  }

  async #block(frame: Frame): Promise<boolean> {
    if (this.#pending.length < 4) return false;
    const word = this.#pending.readUInt32LE(0);
    if (word === 0) {
      const size = frame.contentChecksum ? 8 : 4;
      if (this.#pending.length < size) return false;
      this.#take(size);
      this.#frame = undefined;
      return true;
    }
    const size = word & 0x7fffffff;
    if (size > frame.blockSize) throw new Error(`an LZ4 block of ${size} bytes, where ${frame.blockSize} is the most`);
    const end = 4 + size + (frame.blockChecksums ? 4 : 0);
    if (this.#pending.length < end) return false;
    const packed = this.#pending.subarray(4, 4 + size);
    const content = word > 0x7fffffff ? Buffer.from(packed) : await this.#unpack(frame, packed);
    if (frame.linked) this.#window = Buffer.concat([this.#window, content]).subarray(-WINDOW);
    this.#take(end);
    this.push(content);
    return true;
  }

  async #unpack({ blockSize }: Frame, packed: Buffer): Promise<Buffer> {
    const most = Buffer.alloc(4);
    most.writeUInt32LE(blockSize);
    const sized = Buffer.concat([most, packed]);
    return this.#window.length > 0 ? uncompress(sized, this.#window) : uncompress(sized);
  }
}
