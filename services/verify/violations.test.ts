import { describe, expect, it } from '@jest/globals';
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

  it('takes the last count where more were found than are listed', async () => {
    const many = { ...rows('a'), count: 500 };
    expect(await lasting(looks(many).look, noPause)).toEqual(many);
  });
});
