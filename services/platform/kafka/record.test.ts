import { describe, expect, it } from '@jest/globals';
import type { KafkaMessage } from 'kafkajs';
import { toRecord } from './record.ts';

const message = (headers: KafkaMessage['headers']): KafkaMessage => ({
  key: Buffer.from('key'),
  value: Buffer.from('value'),
  timestamp: '1700000000123',
  attributes: 0,
  offset: '9007199254740991',
  ...(headers && { headers }),
});

describe('a fetched record', () => {
  it('has numbers for kafkajs’s decimal strings, and the size of key and value', () => {
    expect(toRecord(message(undefined), 5)).toEqual({
      offset: Number.MAX_SAFE_INTEGER,
      timestamp: 1_700_000_000_123,
      fetchedAtMs: 5,
      key: Buffer.from('key'),
      value: Buffer.from('value'),
      headers: {},
      size: 8,
    });
    expect(toRecord({ ...message({}), key: null, value: null }).size).toBe(0);
  });

  it('has the last of a header that stands there more than once, as bytes', () => {
    const { headers } = toRecord(message({ a: [Buffer.from('1'), '2'], b: 'text', c: [], d: undefined }));
    expect(headers).toEqual({ a: Buffer.from('2'), b: Buffer.from('text') });
  });

  it('takes nothing from a header that became the prototype of the others', () => {
    const hostile = Object.setPrototypeOf({ a: 'mine' }, Buffer.from('theirs'));
    expect(Object.keys(toRecord(message(hostile)).headers)).toEqual(['a']);
  });
});
