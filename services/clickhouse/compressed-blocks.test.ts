import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { cityHash128 } from './cityhash128.ts';
import { BlockCompressor, BlockDecompressor, compressBlock } from './compressed-blocks.ts';
import { Lz4FrameDecompressor } from './lz4-frame.ts';

/** Hashes of `(i * 31 + 7) % 251` by github.com/go-faster/city, which ClickHouse's Go drivers use; length and hash. */
const HASHES: readonly (readonly [length: number, hash: string])[] = [
  [0, '2b9ac064fc9df03d291ee592c340b53c'],
  [1, '400ece9c375be58bba1c8b474447ab05'],
  [4, '4f12ae6320cb5d90c593a554595bfd57'],
  [8, 'a036812047caa4f5abe5463d5b57d43d'],
  [15, '987d04d3bb16d10ad8f79a9e60eed46f'],
  [16, 'ebdcac65f6f7c15dc0d5fc4028304ad2'],
  [17, '97b6732755336f281931d5c31edbcc5e'],
  [31, '242580ccba2b00649e56706179ae223d'],
  [32, '82f59eca80d40fcc08d7ddd1ff7157c1'],
  [33, 'f8f1ade7ee28b7cae9b5a638e9183c72'],
  [127, '1f1d61e56a8addbc36915b9bd83ee77f'],
  [128, '281543ab330e470239939403bc8421d2'],
  [143, '83ea2b366a2d649d5826576be4fce29a'],
  [144, 'e78050dc26a62164bbc43a9aa0e04e09'],
  [145, 'cfb167973e773ed501e65d2ffa1d83e9'],
  [160, '6d8adb1bac9341923abdc725f6c516ea'],
  [272, '3159a281694d163ee9dd55ecc35c68af'],
  [1000, '341c29e3286eeb2e1c6092034fe1c0b7'],
  [100003, '72c0fb94d176fa0a36ca4f7a2f63d5fd'],
];

const bytes = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31 + 7) % 251));
const chunks = (content: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(content.length / size) }, (_, index) =>
    content.subarray(index * size, (index + 1) * size),
  );

describe('the checksum of compressed blocks', () => {
  it.each(HASHES)('of %i bytes is that of ClickHouse’s own drivers', (length, hash) => {
    expect(cityHash128(bytes(length)).toString('hex')).toBe(hash);
  });
});

describe('compressed blocks', () => {
  it('are, byte for byte, what ClickHouse sends for SELECT 1', async () => {
    const block = await compressBlock(Buffer.from('1\n'), 'lz4');
    expect(block.toString('hex')).toBe('de79cf087fb635049db816df195b016b820c0000000200000020310a');
  });

  it('give back what went in, however it was cut', async () => {
    const property = fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 1, max: 500 }),
      fc.constantFrom('lz4' as const, 'zstd' as const),
      async (seed, repeat, size, method) => {
        const content = Buffer.concat(Array.from({ length: Math.min(repeat, 3_000) }, () => Buffer.from(seed)));
        const packed = await buffer(Readable.from(chunks(content, 70_000)).pipe(new BlockCompressor(method)));
        const unpacked = await buffer(Readable.from(chunks(packed, size)).pipe(new BlockDecompressor()));
        expect(unpacked.equals(content)).toBe(true);
      },
    );
    await fc.assert(property, { numRuns: 20 });
  });

  it('that are damaged, cut or too large are refused', async () => {
    const block = await compressBlock(Buffer.from('hello hello hello'), 'lz4');
    const open = (content: Buffer) => buffer(Readable.from([content]).pipe(new BlockDecompressor()));
    for (let at = 0; at < block.length; at += 1) {
      const damaged = Buffer.from(block);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await expect(open(damaged)).rejects.toThrow();
    }
    await expect(open(block.subarray(0, -1))).rejects.toMatchObject({ type: 'CANNOT_DECOMPRESS' });
    const large = Buffer.from(block);
    large.writeUInt32LE(0xffffffff, 21);
    await expect(open(large)).rejects.toThrow(/at most/);
  });
});

describe('LZ4 frames', () => {
  it('are read block by block, whole frames in a row too', async () => {
    const content = Buffer.from(Array.from({ length: 60_000 }, (_, index) => `row ${index} of many\n`).join(''));
    const frame = compressFrameSync(content);
    const twice = Buffer.concat([frame, frame]);
    const read = await buffer(Readable.from(chunks(twice, 1_000)).pipe(new Lz4FrameDecompressor()));
    expect(read.equals(Buffer.concat([content, content]))).toBe(true);
    const cut = buffer(Readable.from([frame.subarray(0, -10)]).pipe(new Lz4FrameDecompressor()));
    await expect(cut).rejects.toThrow(/ends within/);
  });
});
