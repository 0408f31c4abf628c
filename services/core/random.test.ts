import { expect, it } from '@jest/globals';
import { seededRandom } from './random.ts';

const draw = (count: number, seed: number): number[] => Array.from({ length: count }, seededRandom(seed));

it('seeded numbers are uniform in [0, 1)', () => {
  const tenths = new Array<number>(10).fill(0);
  for (const value of draw(100_000, 9)) tenths[Math.floor(value * 10)] = (tenths[Math.floor(value * 10)] ?? 0) + 1;
  expect(tenths).toHaveLength(10);
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(400);
});

it('the same seed gives the same numbers, another seed others', () => {
  expect(draw(100, 5)).toEqual(draw(100, 5));
  expect(draw(100, 5)).not.toEqual(draw(100, 6));
});
