import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { lasting, type Violation } from './violations.ts';

const rows = (...keys: string[]): Violation => ({ count: keys.length, examples: keys.map((key) => ({ key })) });

/** Looks that find these, one after another; the last one again and again. */
function looks(...found: Violation[]) {
  let next = 0;
  return {
    look: async () => found[Math.min(next++, found.length - 1)] as Violation,
    taken: () => next,
  };
}
const noPause = async () => {};

describe('a violation is believed when it stays', () => {
  it('looks once where there is none', async () => {
    const { look, taken } = looks(rows());
    expect(await lasting(look, noPause)).toEqual(rows());
    expect(taken()).toBe(1);
  });

  it('forgets what an insert under way made look wrong', async () => {
    expect(await lasting(looks(rows('a'), rows()).look, noPause)).toEqual(rows());
    // Under constant load every look meets another insert.
    expect(await lasting(looks(rows('a'), rows('b'), rows('c')).look, noPause)).toEqual(rows());
  });

  it('reports what stays, and only that', async () => {
    expect(await lasting(looks(rows('a', 'b'), rows('b', 'c')).look, noPause)).toEqual(rows('b'));
  });

  it('estimates by the listed rows where more were found than are listed', async () => {
    const many = { ...rows('a', 'b'), count: 500 };
    expect(await lasting(looks(many).look, noPause)).toEqual(many);
    expect(await lasting(looks(many, { ...rows('b', 'c'), count: 500 }, rows('b')).look, noPause)).toEqual(rows('b'));
    expect(await lasting(looks(many, { ...rows('c', 'd'), count: 500 }).look, noPause)).toEqual(rows());
  });

  it('finds exactly what is damaged while everything else moves', async () => {
    const MOVING = 40;
    const bucket = fc.record({ at: fc.nat(MOVING - 1), replaces: fc.boolean() });
    const instants = fc.array(fc.array(bucket, { maxLength: 30 }), { minLength: 8, maxLength: 8 });
    const damage = fc.uniqueArray(fc.integer({ min: MOVING, max: MOVING + 20 }), { maxLength: 15 });
    await fc.assert(
      fc.asyncProperty(instants, damage, async (blocks, damaged) => {
        const size = MOVING + 21;
        const facts = new Array<number>(size).fill(5);
        const rollup = [...facts];
        const moves = new Array<number>(size).fill(5);
        for (const at of damaged) rollup[at] = 7;
        let instant = 0;
        const insert = () => {
          for (const { at, replaces } of blocks[instant++ % blocks.length] ?? []) {
            moves[at] = (moves[at] ?? 0) + 1;
            if (replaces) continue;
            facts[at] = (facts[at] ?? 0) + 1;
            rollup[at] = (rollup[at] ?? 0) + 1;
          }
        };
        // Rollups are read before the facts, and a block comes in between.
        const look = async (): Promise<Violation> => {
          const sums = [...rollup];
          insert();
          const found = sums.flatMap((sum, at) =>
            sum === facts[at] ? [] : [{ at, surplus: sum - (facts[at] ?? 0), moves: moves[at] }],
          );
          insert();
          return { count: found.length, examples: found };
        };
        const { count, examples } = await lasting(look, noPause);
        expect(count).toBe(damaged.length);
        expect(examples.map((row) => row['at']).every((at) => damaged.includes(at as number))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
