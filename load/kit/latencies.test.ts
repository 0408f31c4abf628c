import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Latencies, median, percentile } from './latencies.ts';
import { cpuSeconds, residentBytes } from './processes.ts';

describe('latencies of several processes', () => {
  it('give percentiles to a tenth of a millisecond, however they were spread', () => {
    const values = fc.array(fc.double({ min: 0, max: 4_000, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (them, processes, share) => {
          const parts = Array.from({ length: processes }, () => new Latencies());
          for (const [index, value] of them.entries()) parts[index % processes]?.record(value);
          const exact = them.toSorted((a, b) => a - b)[Math.ceil(them.length * share) - 1] ?? 0;
          const found = percentile(
            parts.map((part) => part.buckets()),
            share,
          );
          expect(Math.abs(found - exact)).toBeLessThanOrEqual(0.2);
        },
      ),
    );
    expect(percentile([[], []], 0.99)).toBe(0);
  });

  it('have a median of odd and even counts', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, 0]);
  });
});

describe('a process', () => {
  it('has CPU time and memory that can be read', () => {
    expect(cpuSeconds(process.pid)).toBeGreaterThan(0);
    expect(residentBytes(process.pid)).toBeGreaterThan(10 << 20);
  });
});
