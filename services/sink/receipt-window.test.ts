import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReceiptWindow } from './receipt-window.ts';

describe('the receipt window', () => {
  it('agrees with a plain set on all that it says it knows', () => {
    const ranges = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 40 })), { maxLength: 60 });
    fc.assert(
      fc.property(fc.nat({ max: 100 }), ranges, (floor, added) => {
        const window = new ReceiptWindow(floor, 64);
        const model = new Set<number>();
        for (const [first, length] of added) {
          window.add(first, first + length);
          for (let offset = first; offset <= first + length; offset++) model.add(offset);
          // An `expect` for each offset would take 20 s.
          const wrong = Array.from({ length: 500 }, (_, offset) => offset).filter((offset) => {
            const known = window.has(offset);
            return known === undefined ? offset >= window.floor : known !== model.has(offset);
          });
          expect(wrong).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes a gap of any length in no time', () => {
    const window = new ReceiptWindow(0);
    window.add(5, 2 ** 50);
    expect([window.has(2 ** 50), window.has(2 ** 50 + 1), window.has(5)]).toEqual([true, false, undefined]);
  });
});
