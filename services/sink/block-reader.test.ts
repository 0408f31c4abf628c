import { describe, expect, it } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { BlockReader } from './block-reader.ts';
import { records } from './testing/fetched-records.ts';
import { outcomeOf } from './testing/outcomes.ts';

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;

describe('reading a block', () => {
  const reader = (decode: () => ReturnType<typeof outcomeOf>) =>
    new BlockReader(() => ({ ok: true, value: decode() }), { topic: 'chat.enriched', topicId: TOPIC, partition: 0 });

  it('ends a block before it touches too many months', async () => {
    let month = 0;
    const at = () => Date.UTC(2020, month++, 10);
    const read = reader(() => {
      const time = at();
      return outcomeOf({ partition: 0, offset: month, sent_at: time, enriched_at: time });
    });
    expect(await read.read(records(0, 100), 2)).toHaveLength(40);
  });
});
