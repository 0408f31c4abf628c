import { expect, it } from '@jest/globals';
import { median } from './percentiles.ts';
import { sampleFamily } from './process-family.ts';

it('the median is the middle value, or the mean of the two in the middle', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, 0]);
});

it('a process with its descendants has CPU time and memory, one that has ended has none', () => {
  const { cpuMicros, rssBytes } = sampleFamily(process.pid);
  expect(cpuMicros).toBeGreaterThan(0);
  expect(rssBytes).toBeGreaterThan(10 << 20);
  expect(sampleFamily(2 ** 22 + 1)).toEqual({ cpuMicros: 0, rssBytes: 0 });
});
