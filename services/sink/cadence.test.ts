import { describe, expect, it } from '@jest/globals';
import { Cadence } from './cadence.ts';

describe('the cadence', () => {
  it('lets blocks grow older as inserting gets dearer, within its limits', () => {
    const cadence = new Cadence({ minAgeMs: 500, maxAgeMs: 1_500 }, () => 12);
    expect(cadence.ageMs).toBe(500);
    cadence.observe(20);
    expect(cadence.ageMs).toBe(960);
    for (let i = 0; i < 100; i++) cadence.observe(500);
    expect(cadence.ageMs).toBe(1_500);
  });
});
