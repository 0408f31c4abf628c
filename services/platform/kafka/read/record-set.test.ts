import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '../kafkajs/crc32c.ts';
import { applyKafkajsPatches } from '../kafkajs/kafkajs-patches.ts';
import { readRecordSet, type Stretch } from './record-set.ts';

const require = createRequire(import.meta.url);
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0');
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0');
const Long = require('kafkajs/src/utils/long');
applyKafkajsPatches();

interface Plain {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, Buffer>;
}
interface BatchSpec {
  readonly compression?: number;
  readonly firstOffset: number;
  readonly records: readonly Plain[];
  readonly producerId?: number;
  readonly transactional?: boolean;
}

const FIRST_TIMESTAMP = 1_700_000_000_000;
const AT = { crc: 17, attributes: 21, lastOffsetDelta: 23 };
const CONTROL = 0x20;

async function encode(spec: BatchSpec): Promise<Buffer> {
  const { compression = 0, firstOffset, records, producerId = -1, transactional = false } = spec;
  const encoder = await RecordBatch({
    compression,
    firstOffset: Long.fromNumber(firstOffset),
    firstTimestamp: FIRST_TIMESTAMP,
    maxTimestamp: FIRST_TIMESTAMP + records.length,
    lastOffsetDelta: records.length - 1,
    producerId: Long.fromNumber(producerId),
    transactional,
    records: records.map((record, offsetDelta) =>
      encodeRecord({ ...record, offsetDelta, timestampDelta: (offsetDelta % 2 === 0 ? 1 : -1) * offsetDelta }),
    ),
  });
  return encoder.buffer;
}

/** Changes a batch as another producer or broker would have written it: with the checksum that fits. */
function altered(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  change(batch);
  batch.writeUInt32BE(crc32c(batch, AT.attributes), AT.crc);
  return batch;
}

const setAttribute = (bits: number) => (batch: Buffer) =>
  void batch.writeInt16BE(batch.readInt16BE(AT.attributes) | bits, AT.attributes);

const value = (text: string): Plain => ({ key: null, value: Buffer.from(text), headers: {} });
const read = (batches: readonly Buffer[], from = 0, aborted: Parameters<typeof readRecordSet>[0]['aborted'] = []) =>
  readRecordSet({ records: Buffer.concat(batches), aborted }, from);
const brief = (stretches: readonly Stretch[]) =>
  stretches.map((each) =>
    each.kind === 'read'
      ? { to: each.next, values: each.records.map((record) => String(record.value)) }
      : { from: each.first, to: each.next, reason: each.reason },
  );

const bytes = fc.uint8Array({ maxLength: 300 }).map((it) => Buffer.from(it));
const plain: fc.Arbitrary<Plain> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.dictionary(
    fc.string({ minLength: 1 }).filter((name) => name !== '__proto__'),
    bytes,
    { noNullPrototype: true },
  ),
});
const specs = fc.array(
  fc.record({ compression: fc.integer({ min: 0, max: 4 }), records: fc.array(plain, { minLength: 1, maxLength: 8 }) }),
  { minLength: 1, maxLength: 4 },
);

describe('a record set', () => {
  it('gives the records that were written, with any codec, from any offset on', async () => {
    await fc.assert(
      fc.asyncProperty(specs, fc.nat(30), fc.constantFrom(0, 2 ** 31 - 3, 2 ** 40), async (batches, skip, start) => {
        const encoded: Buffer[] = [];
        const expected: object[] = [];
        let firstOffset = start;
        for (const { compression, records } of batches) {
          encoded.push(await encode({ compression, firstOffset, records }));
          for (const [index, { key, value: body, headers }] of records.entries()) {
            const timestamp = FIRST_TIMESTAMP + (index % 2 === 0 ? index : -index);
            const size = (key?.length ?? 0) + (body?.length ?? 0);
            expected.push({ offset: firstOffset + index, timestamp, fetchedAtMs: 7, key, value: body, headers, size });
          }
          firstOffset += records.length + 3;
        }
        const from = start + skip;
        const stretches = readRecordSet({ records: Buffer.concat(encoded), aborted: [] }, from, 7);
        const found = stretches.flatMap((each): readonly object[] => (each.kind === 'read' ? each.records : [each]));
        expect(found).toEqual(expected.filter((each) => (each as { offset: number }).offset >= from));
        expect(stretches.at(-1)?.next ?? from).toBe(Math.max(firstOffset - 3, from));
      }),
      { numRuns: 100 },
    );
  });

  it('passes over a batch that cannot be read, names its offsets, and gives what lies before and behind', async () => {
    const batches = await Promise.all(
      [0, 2, 4, 6, 8].map((firstOffset) =>
        encode({ firstOffset, records: [value(`${firstOffset}`), value(`${firstOffset + 1}`)] }),
      ),
    );
    const [good, codec, old, flipped, last] = batches as [Buffer, Buffer, Buffer, Buffer, Buffer];
    altered(codec, setAttribute(5));
    altered(old, (batch) => void batch.writeInt8(1, 16));
    flipped.writeUInt8(flipped.readUInt8(70) ^ 1, 70);
    expect(brief(read([good, codec, old, flipped, last], 1))).toEqual([
      { to: 2, values: ['1'] },
      { from: 2, to: 4, reason: expect.stringContaining('codec 5 is not known') },
      { from: 4, to: 6, reason: expect.stringContaining('message format v1') },
      { from: 6, to: 8, reason: expect.stringContaining('checksum') },
      { to: 10, values: ['8', '9'] },
    ]);
  });

  it('gives no record for a marker, an aborted transaction or a hole, and moves on behind them', async () => {
    const transactional = { transactional: true, records: [value('aborted')] };
    const marker = async (firstOffset: number, producerId: number) =>
      altered(
        await encode({ firstOffset, producerId, records: [value('marker')], transactional: true }),
        setAttribute(CONTROL),
      );
    const emptied = altered(
      await encode({ firstOffset: 7, records: [value('7')] }),
      (batch) => void batch.writeInt32BE(2, AT.lastOffsetDelta),
    );
    const batches = [
      await encode({ firstOffset: 0, producerId: 5, ...transactional }),
      await encode({ firstOffset: 1, producerId: 6, transactional: true, records: [value('committed')] }),
      await marker(2, 5),
      await marker(3, 6),
      // The same producer's next transaction came through.
      await encode({ firstOffset: 4, producerId: 5, transactional: true, records: [value('next')] }),
      await marker(5, 5),
    ];
    const aborted = [{ producerId: 5n, firstOffset: 0 }];
    const [stretch, ...none] = read(batches, 0, aborted);
    expect(brief([stretch as Stretch, ...none])).toEqual([{ to: 6, values: ['committed', 'next'] }]);
    // The aborted record and the markers are known for what they are.
    expect(stretch).toMatchObject({ voided: [0, 2, 3, 5].map((offset) => ({ first: offset, last: offset })) });
    expect(brief(read(batches.slice(2, 4), 2))).toEqual([{ to: 4, values: [] }]);
    expect(brief(read([emptied], 6))).toEqual([{ to: 10, values: ['7'] }]);
  });

  it('leaves a batch that is cut off for the next fetch', async () => {
    const batches = [
      await encode({ firstOffset: 0, records: [value('a')] }),
      await encode({ firstOffset: 1, records: [value('b')] }),
    ];
    const whole = Buffer.concat(batches);
    for (let cut = batches[0]?.length ?? 0; cut < whole.length; cut += 7) {
      expect(brief(read([whole.subarray(0, cut)]))).toEqual([{ to: 1, values: ['a'] }]);
    }
    expect(read([whole.subarray(0, 30)])).toEqual([]);
  });

  it('survives any damage, and never goes back', async () => {
    await fc.assert(
      fc.asyncProperty(specs, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), async (batches, damage) => {
        let firstOffset = 3;
        const encoded: Buffer[] = [];
        for (const { compression, records } of batches) {
          encoded.push(await encode({ compression, firstOffset, records }));
          firstOffset += records.length;
        }
        const set = Buffer.concat(encoded);
        for (const [at, byte] of damage) set[at % set.length] = byte;
        let next = 3;
        for (const stretch of readRecordSet({ records: set, aborted: [] }, 3)) {
          if (stretch.next <= next) throw new Error(`from ${next} to ${stretch.next}`);
          next = stretch.next;
        }
      }),
      { numRuns: 150 },
    );
  });
});
