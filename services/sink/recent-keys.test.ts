import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../core/clock.ts';
import { RecentKeys } from './recent-keys.ts';
import { outcomeOf } from './testing/outcomes.ts';

const nothing = async () => ({ crcs: [], isPartial: false });

describe('recent keys', () => {
  it('remember every key for at least the window, and forget in the end', () => {
    const clock = new ManualClock();
    const keys = new RecentKeys(clock, 1_000, nothing);
    const hashes = Array.from({ length: 5_000 }, (_, index) => Math.imul(index, 0x85ebca6b) >>> 0);
    for (const hash of hashes) keys.add(hash);
    clock.advance(1_000);
    keys.add(1);
    expect(hashes.every((hash) => keys.mayHave(hash))).toBe(true);
    expect(keys.mayHave(2)).toBe(false);
    clock.advance(1_000);
    keys.add(3);
    expect(hashes.some((hash) => keys.mayHave(hash))).toBe(false);
    expect([keys.mayHave(1), keys.mayHave(3)]).toEqual([true, true]);
  });

  it('are loaded once for each source partition, and take every key for seen while some are not known', async () => {
    const clock = new ManualClock();
    const asked: string[] = [];
    const keys = new RecentKeys(clock, 1_000, async ({ topicId, partition }) => {
      asked.push(`${topicId}/${partition}`);
      return { crcs: [partition + 100], isPartial: partition === 7 };
    });
    await keys.open([
      { topicId: 'a', partition: 1 },
      { topicId: 'a', partition: 1 },
      { topicId: 'a', partition: 2 },
    ]);
    await keys.open([{ topicId: 'a', partition: 2 }]);
    expect(asked).toEqual(['a/1', 'a/2']);
    expect([101, 102, 103].map((crc) => keys.mayHave(crc))).toEqual([true, true, false]);
    await keys.open([{ topicId: 'a', partition: 7 }]);
    expect(keys.mayHave(103)).toBe(true);
    clock.advance(1_000);
    expect(keys.mayHave(103)).toBe(false);
  });

  it('say of what was sent long before it was received that it may have come before them', () => {
    const keys = new RecentKeys(new ManualClock(), 1_000, nothing);
    const sent = (sent_at: number, sent_at_original: number | null = null) =>
      keys.mayBeOlder(outcomeOf({ partition: 0, offset: 0, received_at: 10_000, sent_at, sent_at_original }));
    expect([sent(9_500), sent(8_999), sent(9_500, 2_000), sent(11_000)]).toEqual([false, true, true, false]);
  });

  it('forget before the window ends where more come than there is room for, and say so of what was sent before that', () => {
    const clock = new ManualClock();
    const keys = new RecentKeys(clock, 1_000, nothing, 100);
    const sentBefore = (ms: number) =>
      keys.mayBeOlder(outcomeOf({ partition: 0, offset: 0, received_at: 10_000, sent_at: 10_000 - ms }));
    for (let hash = 1; hash <= 200; hash++) keys.add(hash);
    clock.advance(300);
    expect([keys.mayHave(1), sentBefore(900)]).toEqual([true, false]);
    keys.add(201);
    clock.advance(300);
    expect([keys.mayHave(1), keys.mayHave(101)]).toEqual([false, true]);
    expect([sentBefore(599), sentBefore(601)]).toEqual([false, true]);
  });
});
