import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { conversationKey, murmur2, partitionOf, tenantOfKey } from './partitioner.ts';

const kafkajsMurmur2 = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2') as (
  key: Buffer,
) => number;

describe('partitioner', () => {
  it('hashes as other Kafka clients do', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(murmur2(bytes)).toBe(kafkajsMurmur2(Buffer.from(bytes)));
      }),
    );
  });

  it('gives no two conversations one key, whatever their ids', () => {
    const ids = fc.tuple(fc.string(), fc.string(), fc.string());
    fc.assert(
      fc.property(ids, ids, (a, b) => {
        expect(conversationKey(...a) === conversationKey(...b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  it('spreads conversations evenly', () => {
    const counts = new Array<number>(12).fill(0);
    for (let n = 0; n < 12_000; n++) {
      const partition = partitionOf(conversationKey('tenant', `bot-${n % 50}`, `conversation-${n}`), 12);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1_150);
  });

  it('tells the tenant of a key, and nothing of a key that is not ours', () => {
    const tenantOf = (key: string | null) => tenantOfKey(key === null ? null : Buffer.from(key));
    expect(tenantOf(conversationKey('acme', 'b', 'c'))).toBe('acme');
    expect(['', null, '[', '["open', 'plain', '{"a":1}'].map(tenantOf)).toEqual(['', '', '', '', '', '']);
  });
});
