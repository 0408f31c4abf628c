import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mergeRanges, type OffsetRange } from '../core/offset-ranges.ts';
import { missingPlaces, type ReadPage } from './missing-places.ts';

/** What stands at an offset of the log. */
type Place = 'record' | 'voided' | 'unreadable' | 'hole';
const LENGTH = 60;

interface Model {
  readonly places: readonly Place[];
  /** Where pages end. */
  readonly pages: ReadonlySet<number>;
  /** Everything below was cut off after the log's start had been read. */
  readonly cutTo: number;
  readonly receipted: ReadonlySet<number>;
  readonly isCompacted: boolean;
  readonly chunk: number;
}

const setOf = (max: number) => fc.array(fc.nat(LENGTH - 1), { maxLength: max }).map((all) => new Set(all));
const model: fc.Arbitrary<Model> = fc.record({
  places: fc.array(fc.constantFrom<Place>('record', 'record', 'voided', 'unreadable', 'hole'), {
    minLength: LENGTH,
    maxLength: LENGTH,
  }),
  pages: setOf(20),
  cutTo: fc.oneof(fc.constant(0), fc.nat(LENGTH)),
  receipted: setOf(LENGTH),
  isCompacted: fc.boolean(),
  chunk: fc.integer({ min: 5, max: LENGTH }),
});

const rangesWhere = (from: number, to: number, is: (offset: number) => boolean): OffsetRange[] =>
  mergeRanges(
    Array.from({ length: Math.max(to - from, 0) }, (_, index) => from + index)
      .filter(is)
      .map((offset) => ({ first: offset, last: offset })),
  );

/** The log as `LogReader.pages` gives it. */
function readerOf({ places, pages, cutTo }: Model) {
  return async function* (start: number, end: number): AsyncGenerator<ReadPage> {
    const at = (place: Place) => (offset: number) => places[offset] === place;
    let from = start;
    if (from < cutTo) {
      yield { from: cutTo, next: Math.min(cutTo, end), records: [], unreadable: [], voided: [] };
      from = cutTo;
    }
    while (from < end) {
      let next = from + 1;
      while (next < end && !pages.has(next)) next++;
      yield {
        from,
        next,
        records: rangesWhere(from, next, at('record')).flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, index) => ({ offset: first + index })),
        ),
        unreadable: rangesWhere(from, next, at('unreadable')).map(({ first, last }) => ({ first, next: last + 1 })),
        voided: rangesWhere(from, next, at('voided')),
      };
      from = next;
    }
  };
}

async function* holesOf({ receipted, chunk }: Model): AsyncGenerator<OffsetRange[]> {
  for (let from = 0; from < LENGTH; from += chunk) {
    const holes = rangesWhere(from, Math.min(from + chunk, LENGTH), (offset) => !receipted.has(offset));
    if (holes.length > 0) yield holes;
  }
}

const isKnownEmpty = ({ places, cutTo, isCompacted }: Model, offset: number): boolean =>
  offset >= cutTo && (places[offset] === 'voided' || (isCompacted && places[offset] === 'hole'));

describe('the search for missing records', () => {
  it('calls missing exactly what has no receipt and is not known to have held no record', async () => {
    await fc.assert(
      fc.asyncProperty(model, async (of) => {
        const log = { read: readerOf(of), isCompacted: of.isCompacted };
        const { noRecord, missing } = await missingPlaces(log, holesOf(of), LENGTH);
        const open = Array.from({ length: LENGTH }, (_, offset) => offset).filter((each) => !of.receipted.has(each));
        expect(noRecord).toBe(open.filter((offset) => isKnownEmpty(of, offset)).length);
        const expected = new Set(open.filter((offset) => !isKnownEmpty(of, offset)));
        expect(missing).toEqual(rangesWhere(0, LENGTH, (offset) => expected.has(offset)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('does not read what lies between two holes beyond a page', async () => {
    const asked: [number, number][] = [];
    const read = async function* (start: number, end: number): AsyncGenerator<ReadPage> {
      asked.push([start, end]);
      for (let from = start; from < end; from += 10) {
        yield { from, next: Math.min(from + 10, end), records: [], unreadable: [], voided: [] };
      }
    };
    const holes = async function* () {
      yield [
        { first: 3, last: 4 },
        { first: 1_000, last: 1_001 },
      ];
    };
    const found = await missingPlaces({ read, isCompacted: false }, holes(), 1);
    expect(asked).toEqual([
      [3, 1_002],
      [1_000, 1_002],
    ]);
    expect(found).toEqual({ noRecord: 0, missing: [{ first: 3, last: 4 }] });
  });
});
