import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from './brands.ts';
import { decodeLedger, encodeLedger } from './ledger-metadata.ts';
import { LEDGER_SPAN, OffsetLedger } from './offset-ledger.ts';

const TOPIC_ID = 'dgoboNlSR7q7_iKvHit0vg' as TopicId;
const OTHER_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;

/** What is taken, gaps included, and in which order it completes. */
const history = fc
  .record({
    start: fc.integer({ min: 0, max: 2 ** 40 }),
    steps: fc.array(fc.option(fc.integer({ min: 1, max: 50 }), { freq: 5, nil: 0 }), { minLength: 1, maxLength: 300 }),
  })
  .chain(({ start, steps }) => {
    let next = start;
    const items = steps.map((gap) => {
      const first = next;
      next += gap === 0 ? 1 : gap;
      return { first, last: next - 1, isGap: gap !== 0 };
    });
    const order = fc.shuffledSubarray(items, { minLength: 0, maxLength: items.length });
    return fc.record({ start: fc.constant(start), items: fc.constant(items), order });
  });

function replay({
  start,
  items,
  order,
}: {
  start: number;
  items: { first: number; last: number; isGap: boolean }[];
  order: { first: number }[];
}) {
  const ledger = new OffsetLedger(start);
  for (const { first, last, isGap } of items) {
    if (isGap) ledger.takeGap(first, last);
    else ledger.take(first);
  }
  for (const { first } of order) ledger.complete(first);
  return ledger;
}

describe('OffsetLedger', () => {
  it('keeps the watermark at the first offset that is not complete', () => {
    fc.assert(
      fc.property(history, (run) => {
        const ledger = replay(run);
        const done = new Set(run.order.map(({ first }) => first));
        const firstOpen = run.items.find(({ first }) => !done.has(first));
        expect(ledger.watermark).toBe(firstOpen?.first ?? (run.items.at(-1)?.last ?? run.start - 1) + 1);
        const ahead = run.items.filter(({ first, isGap }) => !isGap && first > ledger.watermark && done.has(first));
        expect([...ledger.completed()]).toEqual(ahead.map(({ first }) => first));
      }),
    );
  });

  it('never moves the watermark back, and completing twice changes nothing', () => {
    fc.assert(
      fc.property(history, (run) => {
        const ledger = replay({ ...run, order: [] });
        let before = ledger.watermark;
        for (const { first } of [...run.order, ...run.order]) {
          ledger.complete(first);
          expect(ledger.watermark).toBeGreaterThanOrEqual(before);
          before = ledger.watermark;
        }
        const once = replay(run);
        expect([ledger.watermark, ...ledger.completed()]).toEqual([once.watermark, ...once.completed()]);
      }),
    );
  });

  it('bounds the span above the watermark, and goes on once the slow one is done', () => {
    const ledger = new OffsetLedger(100);
    for (let offset = 100; ledger.hasRoomFor(offset); offset++) ledger.take(offset);
    expect(ledger.next).toBe(100 + LEDGER_SPAN);
    expect(() => ledger.take(ledger.next)).toThrow(RangeError);
    for (let offset = 101; offset < ledger.next; offset++) ledger.complete(offset);
    expect(ledger.watermark).toBe(100);
    ledger.complete(100);
    expect(ledger.watermark).toBe(100 + LEDGER_SPAN);
    expect(ledger.completedAhead).toBe(0);
  });

  it('steps over what an earlier instance completed, as soon as it is taken', () => {
    const ledger = new OffsetLedger(10, [11, 12, 14]);
    expect([10, 11, 12, 13, 14].map((offset) => ledger.isComplete(offset))).toEqual([false, true, true, false, true]);
    for (const offset of [10, 11, 12, 13, 14]) ledger.take(offset);
    ledger.complete(10);
    expect(ledger.watermark).toBe(13);
    ledger.complete(13);
    expect(ledger.watermark).toBe(15);
  });

  it('forgets what was recovered within a gap, so that no offset a span later passes for complete', () => {
    const ledger = new OffsetLedger(100, [105, 106, 107, 108, 109, 110]);
    ledger.takeGap(100, 4_999);
    ledger.complete(100);
    expect([ledger.watermark, ledger.completedAhead, [...ledger.completed()]]).toEqual([5_000, 0, []]);
    expect(ledger.isComplete(105 + LEDGER_SPAN)).toBe(false);
  });

  it('refuses to complete what was not taken', () => {
    expect(() => new OffsetLedger(0).complete(3)).toThrow(/not taken/);
  });

  it('refuses to take an offset twice', () => {
    const ledger = new OffsetLedger(0);
    ledger.take(0);
    expect(() => ledger.take(0)).toThrow(/taken already/);
    expect(() => ledger.takeGap(0, 5)).toThrow(/taken already/);
  });
});

describe('ledger metadata', () => {
  it('gives back exactly what was complete', () => {
    fc.assert(
      fc.property(history, (run) => {
        const ledger = replay(run);
        const read = decodeLedger(encodeLedger(ledger, TOPIC_ID), TOPIC_ID, ledger.watermark);
        // Beyond the span lie only offsets behind a gap that is still open: they are done again.
        const within = [...ledger.completed()].filter((offset) => ledger.hasRoomFor(offset));
        expect(read).toEqual({ state: 'read', completed: within });
      }),
    );
  });

  it('stays within the 4,096 bytes that the broker takes, in the worst case', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.boolean()), (coin) => {
        const ledger = new OffsetLedger(7);
        for (let offset = 7; ledger.hasRoomFor(offset); offset++) {
          ledger.take(offset);
          if (offset > 7 && coin.next().value === true) ledger.complete(offset);
        }
        const metadata = encodeLedger(ledger, TOPIC_ID);
        expect(metadata.length).toBeLessThanOrEqual(2_800);
        expect(decodeLedger(metadata, TOPIC_ID, 7).completed).toEqual([...ledger.completed()]);
      }),
      { numRuns: 10 },
    );
  });

  it('believes nothing that is foreign, corrupt, newer, cut or of another offset or topic', () => {
    const ledger = new OffsetLedger(10, [12, 13, 20]);
    const metadata = encodeLedger(ledger, TOPIC_ID);
    const flipped = `${metadata.slice(0, -1)}${metadata.endsWith('A') ? 'B' : 'A'}`;
    const cases: [string, TopicId, number, string][] = [
      ['', TOPIC_ID, 10, 'missing'],
      ['consumer-3 at noon', TOPIC_ID, 10, 'foreign'],
      [metadata, OTHER_TOPIC_ID, 10, 'other_topic'],
      [flipped, OTHER_TOPIC_ID, 10, 'corrupt'],
      [metadata, TOPIC_ID, 11, 'corrupt'],
      [flipped, TOPIC_ID, 10, 'corrupt'],
      [metadata.slice(0, -2), TOPIC_ID, 10, 'corrupt'],
      [metadata.replace(/^1/, '2'), TOPIC_ID, 10, 'newer'],
    ];
    for (const [text, topicId, watermark, state] of cases) {
      expect(decodeLedger(text, topicId, watermark)).toEqual({ state, completed: [] });
    }
  });

  it('never throws, and never completes an offset at or below the watermark or beyond the span', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 4_096 }),
      fc.string({ unit: fc.constantFrom('1', '.', 'a', 'f', '-', '_', 'A', '0'), maxLength: 200 }),
    );
    fc.assert(
      fc.property(text, (metadata) => {
        expect(decodeLedger(metadata, TOPIC_ID, 10).completed).toEqual([]);
      }),
    );
  });
});
