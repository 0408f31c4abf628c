import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LatencyHistogram } from './latency-histogram.ts';

it('latencies spread over several processes give the percentiles of all of them, to three digits', () => {
  const values = fc.array(fc.double({ min: 0, max: 4_000, noNaN: true }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 4 }), (them, processes) => {
      const parts = Array.from({ length: processes }, () => new LatencyHistogram());
      for (const [index, value] of them.entries()) parts[index % processes]?.record(value);
      const { count, p50, p99, max } = LatencyHistogram.merged(parts.map((part) => part.encoded())).summary();
      const sorted = them.toSorted((a, b) => a - b);
      const exact = (share: number) => sorted[Math.ceil(them.length * share) - 1] ?? 0;
      expect(count).toBe(them.length);
      for (const [found, share] of [
        [p50, 0.5],
        [p99, 0.99],
        [max, 1],
      ] as const) {
        expect(Math.abs(found - exact(share))).toBeLessThanOrEqual(exact(share) / 500 + 0.002);
      }
    }),
    { numRuns: 50 },
  );
});

it('no latencies have percentiles of 0', () => {
  const none = LatencyHistogram.merged([new LatencyHistogram().encoded()]).summary();
  expect(none).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
});
