import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { applyKafkajsPatches } from '../kafkajs/kafkajs-patches.ts';
import { type ScannedRecord, scanRecords } from './record-scan.ts';

const require = createRequire(import.meta.url);
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0');
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0');
const Long = require('kafkajs/src/utils/long');
const Decoder = require('kafkajs/src/protocol/decoder');
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages');
const Encoder = require('kafkajs/src/protocol/encoder');
applyKafkajsPatches();

interface Plain {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, Buffer>;
}
interface BatchSpec {
  readonly compression: number;
  readonly firstOffset: number;
  readonly records: readonly Plain[];
}

async function encodeBatch({ compression, firstOffset, records }: BatchSpec): Promise<Buffer> {
  const encoder = await RecordBatch({
    compression,
    firstOffset: Long.fromNumber(firstOffset),
    lastOffsetDelta: records.length - 1,
    records: records.map((record, offsetDelta) =>
      encodeRecord({ ...record, offsetDelta, timestampDelta: 7_000_000_000 }),
    ),
  });
  return encoder.buffer;
}

interface Found {
  readonly offset: number;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly header: string;
}

const NAME = 'reply';
const text = (bytes: Buffer | null) => bytes?.toString('hex');

function scan(set: Buffer, from: number): { found: Found[]; next: number; unreadable: number; records: number } {
  const found: Found[] = [];
  const note = ({ offset, key, value, header }: ScannedRecord) =>
    found.push({ offset, key: text(key), value: text(value), header: header.toString('hex') });
  return { found, ...scanRecords(set, from, NAME, note) };
}

/** The same by kafkajs, which decodes everything. */
async function decode(set: Buffer, from: number): Promise<Found[]> {
  const framed = new Encoder().writeBytes(set).buffer;
  const messages = (await decodeMessages(new Decoder(framed))) as (Plain & { offset: string })[];
  return messages
    .filter(({ offset, headers }) => Number(offset) >= from && headers[NAME] !== undefined)
    .map(({ offset, key, value, headers }) => ({
      offset: Number(offset),
      key: text(key),
      value: text(value),
      header: (headers[NAME] as Buffer).toString('hex'),
    }));
}

const bytes = fc.uint8Array({ maxLength: 300 }).map((it) => Buffer.from(it));
const record: fc.Arbitrary<Plain> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.dictionary(fc.constantFrom(NAME, 'repl', 'replys', 'traceparent', 'x'), bytes),
});
const batches = fc.array(
  fc.record({ compression: fc.constantFrom(0, 0, 1, 4), records: fc.array(record, { minLength: 1, maxLength: 8 }) }),
  { minLength: 1, maxLength: 4 },
);

/** Batches one after another, with a hole between them as retention or compaction may leave it. */
async function encodeAll(specs: readonly Omit<BatchSpec, 'firstOffset'>[], start: number) {
  const encoded: Buffer[] = [];
  let firstOffset = start;
  for (const spec of specs) {
    encoded.push(await encodeBatch({ ...spec, firstOffset }));
    firstOffset += spec.records.length + 3;
  }
  return { encoded, end: firstOffset - 3 };
}

describe('scanRecords', () => {
  it('finds what kafkajs finds, in plain, gzip and zstd batches, from any offset on', async () => {
    let matches = 0;
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(40), fc.constantFrom(0, 2 ** 31 - 3, 2 ** 40), async (specs, skip, start) => {
        const { encoded, end } = await encodeAll(specs, start);
        const set = Buffer.concat(encoded);
        const result = scan(set, start + skip);
        matches += result.found.length;
        expect(result.found).toEqual(await decode(set, start + skip));
        expect(result).toMatchObject({ next: Math.max(end, start + skip), unreadable: 0 });
      }),
      { numRuns: 150 },
    );
    expect(matches).toBeGreaterThan(100);
  });

  it('leaves a batch that is cut off for the next fetch, wherever it is cut', async () => {
    const plain = { key: null, value: Buffer.from('v'), headers: { [NAME]: Buffer.from('s') } };
    const { encoded } = await encodeAll(
      [
        { compression: 0, records: [plain] },
        { compression: 0, records: [plain, plain] },
      ],
      5,
    );
    const set = Buffer.concat(encoded);
    const first = encoded[0]?.length ?? 0;
    for (let cut = first; cut < set.length; cut++) {
      const { found, next } = scan(set.subarray(0, cut), 5);
      expect([cut, found.length, next]).toEqual([cut, 1, 6]);
    }
    expect(scan(set, 5)).toMatchObject({ next: 11, records: 3 });
  });

  it('passes over what it can not read, counts it, and goes on behind it', async () => {
    const plain = { key: Buffer.from('k'), value: Buffer.from('v'), headers: { [NAME]: Buffer.from('s') } };
    const { encoded } = await encodeAll(Array(4).fill({ compression: 0, records: [plain] }), 0);
    const [snappy, old, mangled, good] = encoded as [Buffer, Buffer, Buffer, Buffer];
    snappy.writeInt16BE(2, 21);
    old[16] = 1;
    mangled.fill(0xff, 61);
    const { found, ...result } = scan(Buffer.concat([snappy, old, mangled, good]), 0);
    expect(result).toEqual({ next: 13, records: 1, unreadable: 3 });
    expect(found.map(({ offset }) => offset)).toEqual([12]);
  });

  it('survives any damage to a set', async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), async (specs, damage) => {
        const set = Buffer.concat((await encodeAll(specs, 0)).encoded);
        for (const [at, byte] of damage) set[at % set.length] = byte;
        expect(scan(set, 0).next).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 300 },
    );
  });
});
