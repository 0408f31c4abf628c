import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { Compression } from '../connection.ts';
import { readRecordSet } from '../read/record-set.ts';
import { CODEC_NAMES } from './codecs.ts';
import { crc32c } from './crc32c.ts';
import { type OutgoingMessage, ProduceEncoder, type ProducerIdentity } from './record-batch-encoder.ts';

/** Behind transaction, acks, time-out, the one topic `t` and its one partition, each with counts and lengths. */
const RECORD_SET_AT = 2 + 2 + 4 + 4 + 3 + 4 + 4 + 4;
const ATTRIBUTES_AT = 21;

const require = createRequire(import.meta.url);
const kafkajsCrc32c = require('kafkajs/src/protocol/recordBatch/crc32C/crc32C') as (bytes: Buffer) => number;
const kafkajsRequest = require('kafkajs/src/protocol/requests/produce/v7/request') as (produce: object) => {
  encode: () => Promise<{ buffer: Buffer }>;
};

beforeEach(() => void jest.useFakeTimers({ now: 1_790_000_000_123 }));
afterEach(() => void jest.useRealTimers());

describe('crc32c', () => {
  it('is the checksum of kafkajs and of the RFC, for any range of any bytes', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), (bytes, start) => {
        const from = Math.min(start, bytes.length);
        expect(crc32c(bytes, from)).toBe(kafkajsCrc32c(Buffer.from(bytes.subarray(from))));
      }),
    );
  });
});

describe('ProduceEncoder', () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
  const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 40 }));
  const message = fc.record({
    key: fc.oneof(fc.constantFrom(null, undefined), text, bytes(100)),
    value: fc.oneof(fc.constant(null), text, bytes(400)),
    // Names as they are in use: JavaScript would put a name that is a number first, here as in kafkajs.
    headers: fc.dictionary(fc.stringMatching(/^[a-z-]{1,20}$/), fc.oneof(text, bytes(200)), { maxKeys: 6 }),
  });
  const partition = fc.record({
    partition: fc.nat(1_000),
    firstSequence: fc.nat(0x7fffffff),
    messages: fc.array(message, { minLength: 1, maxLength: 80 }),
  });
  const topic = fc.record({ topic: text, partitions: fc.array(partition, { minLength: 1, maxLength: 4 }) });
  type Topics = readonly {
    topic: string;
    partitions: readonly { partition: number; firstSequence: number; messages: readonly OutgoingMessage[] }[];
  }[];
  const batchesOf = (topics: Topics, identity: ProducerIdentity) =>
    topics.flatMap(({ topic: name, partitions }) => partitions.map((each) => ({ topic: name, ...each, ...identity })));
  const encoder = new ProduceEncoder();

  it('writes byte for byte what kafkajs writes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(topic, { minLength: 1, maxLength: 3, selector: (each) => each.topic }),
        fc.bigInt({ min: -1n, max: 2n ** 62n }).map(String),
        async (topics, producerId) => {
          const identity = { producerId, producerEpoch: 7 };
          const expected = await kafkajsRequest({ acks: -1, timeout: 30_000, ...identity, topicData: topics }).encode();
          const batches = batchesOf(topics, identity);
          const encoded = encoder.encode({ acks: -1, timeoutMs: 30_000, batches }, Date.now());
          expect(encoded.equals(expected.buffer)).toBe(true);
        },
      ),
      { numRuns: 60 },
    ));

  it('takes records larger than its buffer, and leaves earlier ones alone', async () => {
    const identity = { producerId: '5', producerEpoch: 0 };
    const topicsOf = (size: number) => [
      {
        topic: 't',
        partitions: [{ partition: 0, firstSequence: 0, messages: [{ key: null, value: Buffer.alloc(size, 'x') }] }],
      },
    ];
    const requestOf = (size: number) => ({ acks: -1, timeoutMs: 30_000, batches: batchesOf(topicsOf(size), identity) });
    const small = encoder.encode(requestOf(10), Date.now());
    const before = Buffer.from(small);
    const large = encoder.encode(requestOf(3 << 20), Date.now());
    const expected = await kafkajsRequest({
      acks: -1,
      timeout: 30_000,
      ...identity,
      topicData: topicsOf(3 << 20),
    }).encode();
    expect(large.equals(expected.buffer)).toBe(true);
    expect(small.equals(before)).toBe(true);
  });

  it('writes the same records under each codec, named in the batch, as far as they are worth it', () => {
    const messages = Array.from({ length: 50 }, (_, n) => ({
      key: `key-${n}`,
      value: Buffer.from(`${n} ${'squeezed '.repeat(40)}`),
      headers: { name: `value ${n}` },
    }));
    const batches = [{ topic: 't', partition: 0, firstSequence: 3, messages, producerId: '5', producerEpoch: 0 }];
    const setOf = (codec: Compression) =>
      new ProduceEncoder(codec).encode({ acks: -1, timeoutMs: 1_000, batches }, Date.now()).subarray(RECORD_SET_AT);
    const plain = setOf('none');
    const read = (records: Buffer) => readRecordSet({ records, aborted: [] }, 0);
    for (const [number, codec] of CODEC_NAMES.entries()) {
      const set = setOf(codec);
      expect(set.readInt16BE(ATTRIBUTES_AT)).toBe(number);
      expect(read(set)).toEqual(read(plain));
      expect(codec === 'none' || set.length < plain.length / 4).toBe(true);
    }
    expect(read(plain)).toMatchObject([{ kind: 'read', next: 50 }]);
  });
});
