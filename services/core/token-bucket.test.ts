import { expect, it } from '@jest/globals';
import { ManualClock } from './clock.ts';
import { TokenBucket } from './token-bucket.ts';

it('a token bucket lets its burst through at once and then what fills up, and never more than the burst', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(4, 4, clock);
  const taken = () => Array.from({ length: 9 }, () => bucket.take()).filter((waitMs) => waitMs === 0).length;
  const atOnce = taken();
  clock.advance(500);
  const halfASecondLater = taken();
  clock.advance(100);
  const aMomentLater = taken();
  clock.advance(60_000);
  expect([atOnce, halfASecondLater, aMomentLater, taken()]).toEqual([4, 2, 0, 4]);
});

it('an empty token bucket says how long until the next token', () => {
  const bucket = new TokenBucket(4, 1, new ManualClock());
  expect([bucket.take(), bucket.take()]).toEqual([0, 250]);
});
