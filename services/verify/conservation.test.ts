import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  commonRanges,
  countOffsets,
  formatRange,
  holesIn,
  mergeRanges,
  type OffsetRange,
} from '../core/offset-ranges.ts';
import { conserve, type PartitionReading, type ReceiptCounts, sumConservation } from './conservation.ts';

type PointOutcome = keyof ReceiptCounts;
const OUTCOMES: readonly PointOutcome[] = ['enriched', 'degraded', 'dead_lettered', 'duplicate'];

/** One partition written out offset by offset: what a receipt says of each, and which gaps were written. */
interface Model {
  readonly logStart: number;
  readonly logEnd: number;
  readonly watermark: number | null;
  readonly sinkPastOutcomes: boolean;
  readonly points: ReadonlyMap<number, PointOutcome>;
  readonly gaps: readonly OffsetRange[];
  /** Offsets of the log at which there is no record. */
  readonly empty: ReadonlySet<number>;
}

const offsets = { max: 60 };
const range = fc
  .tuple(fc.nat(offsets), fc.nat({ max: 12 }))
  .map(([first, length]): OffsetRange => ({ first, last: first + length }));
const model: fc.Arbitrary<Model> = fc
  .record({
    bounds: fc.tuple(fc.nat(offsets), fc.nat(offsets)),
    watermark: fc.option(fc.nat({ max: 70 })),
    sinkPastOutcomes: fc.boolean(),
    points: fc.array(fc.tuple(fc.nat(offsets), fc.constantFrom(...OUTCOMES)), { maxLength: 60 }),
    gaps: fc.array(range, { maxLength: 4 }),
    empty: fc.array(fc.nat(offsets), { maxLength: 8 }),
  })
  .map(({ bounds, points, empty, ...rest }) => ({
    ...rest,
    empty: new Set(empty),
    logStart: Math.min(...bounds),
    logEnd: Math.max(...bounds),
    points: new Map(points),
  }));

const inGap = ({ gaps }: Model, offset: number) => gaps.some(({ first, last }) => offset >= first && offset <= last);

function readingOf(of: Model): PartitionReading {
  const receipts = { enriched: 0, degraded: 0, dead_lettered: 0, duplicate: 0 };
  let receiptsBelowWatermark = 0;
  for (const [offset, outcome] of of.points) {
    if (offset < of.logStart || offset >= of.logEnd || inGap(of, offset)) continue;
    receipts[outcome]++;
    if (offset < (of.watermark ?? 0)) receiptsBelowWatermark++;
  }
  const { logStart, logEnd, watermark, sinkPastOutcomes, gaps } = of;
  const noRecord = [...of.empty].filter((offset) => isEmpty(of, offset)).length;
  return {
    partition: 0,
    logStart,
    logEnd,
    watermark,
    sinkPastOutcomes,
    gaps,
    receipts,
    receiptsBelowWatermark,
    noRecord,
    removedUntold: logStart % 3,
  };
}

/** Would be missing if there had been a record. */
const isEmpty = (of: Model, offset: number) =>
  of.empty.has(offset) && isUnaccounted(of, offset) && of.sinkPastOutcomes && offset < (of.watermark ?? 0);
const isUnaccounted = (of: Model, offset: number) =>
  offset >= of.logStart && offset < of.logEnd && !of.points.has(offset) && !inGap(of, offset);

describe('the conservation law', () => {
  it('makes every event exactly one of the seven, whatever was read', () => {
    fc.assert(
      fc.property(model, (of) => {
        const reading = readingOf(of);
        const { events, missing, in_flight, ...rest } = conserve(reading);
        expect(rest.no_record).toBe(reading.noRecord);
        const done = rest.enriched + rest.degraded + rest.dead_lettered + rest.duplicate_receipts + rest.gaps;
        expect(events).toBe(done + in_flight + missing);
        expect(in_flight).toBeGreaterThanOrEqual(0);
        expect(missing).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('agrees with a walk over all offsets', () => {
    fc.assert(
      fc.property(model, (of) => {
        let missing = 0;
        let inFlight = 0;
        for (let offset = of.logStart; offset < of.logEnd; offset++) {
          if (!isUnaccounted(of, offset) || isEmpty(of, offset)) continue;
          if (of.sinkPastOutcomes && offset < (of.watermark ?? 0)) missing++;
          else inFlight++;
        }
        expect(conserve(readingOf(of))).toMatchObject({ missing, in_flight: inFlight });
      }),
    );
  });

  const quiet: PartitionReading = {
    partition: 0,
    logStart: 100,
    logEnd: 110,
    watermark: 110,
    sinkPastOutcomes: true,
    receipts: { enriched: 10, degraded: 0, dead_lettered: 0, duplicate: 0 },
    receiptsBelowWatermark: 10,
    gaps: [],
    noRecord: 0,
    removedUntold: 0,
  };

  it('calls a lost outcome missing once the sink is past it, and in flight before', () => {
    const lost = { ...quiet, receipts: { ...quiet.receipts, enriched: 9 }, receiptsBelowWatermark: 9 };
    expect(conserve(lost)).toMatchObject({ missing: 1, in_flight: 0 });
    expect(conserve({ ...lost, sinkPastOutcomes: false })).toMatchObject({ missing: 0, in_flight: 1 });
    expect(conserve({ ...lost, watermark: null, receiptsBelowWatermark: 0 })).toMatchObject({
      missing: 0,
      in_flight: 1,
    });
  });

  it('counts what retention removed unread as events and gaps', () => {
    expect(conserve({ ...quiet, gaps: [{ first: 40, last: 99 }] })).toMatchObject({ events: 70, gaps: 60, missing: 0 });
  });

  it('sums partitions', () => {
    expect(sumConservation([conserve(quiet), conserve(quiet)])).toMatchObject({ events: 20, enriched: 20, missing: 0 });
  });
});

describe('offset ranges', () => {
  it('merge without loss, and holes are exactly the rest', () => {
    fc.assert(
      fc.property(fc.array(range), fc.nat(offsets), fc.nat(offsets), (ranges, from, to) => {
        const covered = (offset: number) => ranges.some(({ first, last }) => offset >= first && offset <= last);
        const all = Array.from({ length: 80 }, (_, offset) => offset);
        expect(countOffsets(mergeRanges(ranges))).toBe(all.filter(covered).length);
        const holes = holesIn(ranges, from, to);
        const inHole = (offset: number) => holes.some(({ first, last }) => offset >= first && offset <= last);
        expect(all.filter(inHole)).toEqual(all.filter((offset) => offset >= from && offset < to && !covered(offset)));
      }),
    );
  });

  it('have in common exactly the offsets that are in both', () => {
    fc.assert(
      fc.property(fc.array(range), fc.array(range), (some, others) => {
        const within = (ranges: readonly OffsetRange[]) => (offset: number) =>
          ranges.some(({ first, last }) => offset >= first && offset <= last);
        const all = Array.from({ length: 80 }, (_, offset) => offset);
        const common = commonRanges(mergeRanges(some), mergeRanges(others));
        expect(all.filter(within(common))).toEqual(all.filter(within(some)).filter(within(others)));
        expect(common).toEqual([...common].sort((a, b) => a.first - b.first));
      }),
    );
  });

  it('print as one number or as a span', () => {
    expect(
      [
        { first: 3, last: 3 },
        { first: 7, last: 9 },
      ].map(formatRange),
    ).toEqual(['3', '7-9']);
  });
});
