import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { epochMs, type TopicId } from '../core/brands.ts';
import type { ChatOutcome, Coordinates } from '../core/records.ts';
import { AvroEncoder } from './avro/avro-encoder.ts';
import { EVENT_SCHEMA } from './avro/schema-files.ts';
import { deadLetter } from './kafka/produce/dead-letter.ts';
import { outcomeHeaders, readOutcomeHeaders } from './record-headers.ts';
import { sampleEvent } from './testing/sample-event.ts';

const AT: Coordinates = {
  topic_id: 'dgoboNlSR7q7_iKvHit0vg' as TopicId,
  topic: 'x.chat.events',
  partition: 3,
  offset: 42,
};
const NOW = epochMs(1_790_000_000_000);
const WHY = {
  reason: 'undecodable',
  detail: 'no magic byte',
  attempts: 0,
  firstFailedAt: NOW,
  failedAt: NOW,
  service: 'enricher',
} as const;
const fetched = (value: Buffer | null, headers = {}) => ({
  offset: 42,
  timestamp: 1,
  key: Buffer.from('k'),
  value,
  headers,
  size: 1,
});

describe('the headers of an outcome', () => {
  const base = {
    source: AT,
    origin: { ...AT, offset: 7 },
    outcome: 'enriched',
    revision: 2,
    provisional: false,
  } as ChatOutcome;
  const asBuffers = (headers: Record<string, string>) =>
    Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));

  it('give the identity back, whatever the message id', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (messageId) => {
        const headers = asBuffers(outcomeHeaders({ ...base, message_id: messageId }));
        expect(readOutcomeHeaders(headers)).toEqual({
          source: AT,
          origin: { ...AT, offset: 7 },
          outcome: 'enriched',
          revision: 2,
          messageId,
        });
      }),
    );
  });

  it('are undefined, never an error, when anything is missing or malformed', () => {
    const good = asBuffers(outcomeHeaders({ ...base, message_id: 'm' }));
    expect(readOutcomeHeaders({})).toBeUndefined();
    for (const name of ['parley-source', 'parley-origin', 'parley-outcome', 'parley-revision']) {
      expect(readOutcomeHeaders({ ...good, [name]: undefined })).toBeUndefined();
      expect(readOutcomeHeaders({ ...good, [name]: Buffer.from('///-1') })).toBeUndefined();
    }
    expect(readOutcomeHeaders({ ...good, 'parley-message-id': Buffer.from('%E0%A4%A') })).toBeUndefined();
  });
});

describe('a dead letter', () => {
  it('keeps the bytes, the key, the partition and the record’s own headers', () => {
    const value = Buffer.from([0, 255, 1, 128]);
    const letter = deadLetter(
      'chat.dlq',
      fetched(value, { traceparent: Buffer.from('tp'), 'dlq-reason': Buffer.from('forged') }),
      AT,
      WHY,
    );
    expect(letter).toMatchObject({ topic: 'chat.dlq', partition: 3, key: Buffer.from('k'), value });
    expect(letter.headers).toMatchObject({
      'dlq-reason': 'undecodable',
      'dlq-origin-topic': 'x.chat.events',
      'dlq-origin-partition': '3',
      'dlq-origin-offset': '42',
      'dlq-failed-at': '1790000000000',
      traceparent: Buffer.from('tp'),
    });
  });

  it('stays under 4 KiB of headers, however many the record has', () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`own-${n}`, Buffer.alloc(50)]));
    const { headers } = deadLetter('chat.dlq', fetched(null, many), AT, { ...WHY, detail: 'x'.repeat(9_000) });
    const bytes = Object.entries(headers ?? {}).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    expect(bytes).toBeLessThanOrEqual(4_096);
    expect(Object.keys(headers ?? {}).length).toBeGreaterThan(20);
  });

  it('is a stub with hash and length when even chat.dlq cannot take the bytes', () => {
    const letter = deadLetter('chat.dlq', fetched(Buffer.alloc(17 << 20)), AT, WHY);
    expect(letter.value).toBeNull();
    expect(letter.headers).toMatchObject({ 'dlq-stub-length': String(17 << 20) });
    expect(letter.headers?.['dlq-stub-sha256']).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('AvroEncoder', () => {
  it('writes magic byte, schema id and body, for records smaller and larger than its scratch buffer', () => {
    const encoder = new AvroEncoder(EVENT_SCHEMA.type, 77);
    for (const text of ['short', 'x'.repeat(60_000), 'short again']) {
      const encoded = encoder.encode({ ...sampleEvent({ text }), metadata: { a: 'b' } });
      expect([encoded[0], encoded.readInt32BE(1)]).toEqual([0, 77]);
      expect(EVENT_SCHEMA.type.fromBuffer(encoded.subarray(5))).toMatchObject({ text, metadata: { a: 'b' } });
    }
  });
});
