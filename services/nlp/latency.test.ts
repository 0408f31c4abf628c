import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { seededRandom } from '../core/random.ts';
import { latencySource, logNormalOf, standardNormal } from './latency.ts';

const draw = <T>(count: number, source: () => T): T[] => Array.from({ length: count }, source);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('logNormalOf', () => {
  it('has exactly the mean and p99 that were asked for', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 5_000, noNaN: true }),
        fc.double({ min: 1, max: 14.9, noNaN: true }),
        (m, r) => {
          const { mu, sigma } = logNormalOf(m, m * r);
          expect(Math.exp(mu + sigma ** 2 / 2) / m).toBeCloseTo(1, 9);
          expect(Math.exp(mu + 2.3263478740408408 * sigma) / (m * r)).toBeCloseTo(1, 9);
          expect(sigma).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });

  it('gives the figures of its comment', () => {
    const { mu, sigma } = logNormalOf(200, 350);
    expect([mu.toFixed(4), sigma.toFixed(4), Math.exp(mu).toFixed(1)]).toEqual(['5.2659', '0.2545', '193.6']);
  });

  it.each([
    [200, 199],
    [200, 200 * 15],
    [200, Number.NaN],
  ])('refuses a mean of %d with a p99 of %d', (meanMs, p99Ms) => {
    expect(() => logNormalOf(meanMs, p99Ms)).toThrow(/NLP_LATENCY_P99_MS.*1 to 14.97 times/);
  });
});

describe('latencySource', () => {
  it('draws the mean and the p99 in the long run', () => {
    const latencies = draw(50_000, latencySource(200, 350, seededRandom(42)));
    expect(mean(latencies) / 200).toBeCloseTo(1, 2);
    const above = latencies.filter((latency) => latency > 350).length / latencies.length;
    expect(above).toBeGreaterThan(0.008);
    expect(above).toBeLessThan(0.012);
    expect(Math.min(...latencies)).toBeGreaterThan(50);
  });

  it('repeats itself with the same seed, and not with another', () => {
    const first = draw(100, latencySource(200, 350, seededRandom(5)));
    expect(draw(100, latencySource(200, 350, seededRandom(5)))).toEqual(first);
    expect(draw(100, latencySource(200, 350, seededRandom(6)))).not.toEqual(first);
  });

  it('adds nothing by default and is constant without a p99', () => {
    expect(draw(10, latencySource(0, 0, seededRandom(1)))).toEqual(Array(10).fill(0));
    for (const latency of draw(10, latencySource(120, 0, seededRandom(1)))) expect(latency).toBeCloseTo(120, 9);
  });
});

describe('standardNormal', () => {
  it('gives variates of mean 0 and variance 1', () => {
    const random = seededRandom(11);
    const values = draw(100_000, () => standardNormal(random));
    expect(Math.abs(mean(values))).toBeLessThan(0.02);
    expect(mean(values.map((value) => value ** 2))).toBeCloseTo(1, 1);
  });
});
