import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../core/clock.ts';
import { RecentKeys } from './recent-keys.ts';

describe('recent keys', () => {
  it('remember every key for at least the window, and forget in the end', () => {
    const clock = new ManualClock();
    const keys = new RecentKeys(clock, 1_000);
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
});
