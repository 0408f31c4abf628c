import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../core/clock.ts';
import { BlockBuffer, MemoryBudget } from './block-buffer.ts';
import { recordOf, records } from './testing/fetched-records.ts';

describe('the buffer', () => {
  const valve = () => {
    const calls: string[] = [];
    return { calls, pause: () => calls.push('pause'), resume: () => calls.push('resume') };
  };

  it('pauses at its limits, counts a block until it is in, and resumes at half', () => {
    const gate = valve();
    const buffer = new BlockBuffer(
      gate,
      { maxRecords: 10, maxBytes: 1e9, fetchWaitMs: 0 },
      new MemoryBudget(1e9),
      0,
      new ManualClock(),
    );
    buffer.take(records(0, 10));
    expect(gate.calls).toEqual(['pause']);
    expect(buffer.cut(6, 1e9)).toHaveLength(6);
    expect(gate.calls).toEqual(['pause']);
    buffer.free();
    expect(gate.calls).toEqual(['pause', 'resume']);
  });

  it('shares a budget with the other partitions', () => {
    const [a, b] = [valve(), valve()];
    const budget = new MemoryBudget(4_000);
    const first = new BlockBuffer(
      a,
      { maxRecords: 1_000, maxBytes: 1e9, fetchWaitMs: 0 },
      budget,
      0,
      new ManualClock(),
    );
    const second = new BlockBuffer(
      b,
      { maxRecords: 1_000, maxBytes: 1e9, fetchWaitMs: 0 },
      budget,
      0,
      new ManualClock(),
    );
    first.take(records(0, 10));
    second.take(records(0, 1));
    expect([a.calls, b.calls]).toEqual([['pause'], ['pause']]);
    first.close();
    expect(b.calls).toEqual(['pause', 'resume']);
    expect(budget.bytes).toBe(400);
  });

  it('never pauses below the end of a block that must be whole', () => {
    const gate = valve();
    const buffer = new BlockBuffer(
      gate,
      { maxRecords: 2, maxBytes: 1e9, fetchWaitMs: 0 },
      new MemoryBudget(1),
      0,
      new ManualClock(),
    );
    buffer.need(50);
    buffer.take(records(0, 49));
    expect(gate.calls).toEqual([]);
    buffer.take(records(49, 60));
    expect(gate.calls).toEqual(['pause']);
    expect(buffer.cutBelow(50).map(({ offset }) => offset)).toEqual(records(0, 50).map(({ offset }) => offset));
    expect(buffer.head).toBe(50);
  });

  it('cuts blocks that give back every record once, in order, and keeps its count of bytes', () => {
    const cuts = fc.array(fc.record({ rows: fc.integer({ min: 1, max: 20 }), bytes: fc.nat(8_000), back: fc.nat(3) }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), cuts, (count, steps) => {
        const budget = new MemoryBudget(1e9);
        const buffer = new BlockBuffer(
          valve(),
          { maxRecords: 1e9, maxBytes: 1e9, fetchWaitMs: 0 },
          budget,
          0,
          new ManualClock(),
        );
        buffer.take(records(0, count));
        const seen: number[] = [];
        for (const { rows, bytes, back } of steps) {
          const cut = buffer.cut(rows, bytes);
          const kept = cut.slice(0, Math.max(1, cut.length - back));
          buffer.putBack(cut.slice(kept.length));
          seen.push(...kept.map(({ offset }) => offset));
          buffer.free();
        }
        seen.push(...buffer.cutBelow(count).map(({ offset }) => offset));
        buffer.free();
        expect(seen).toEqual(records(0, count).map(({ offset }) => offset));
        expect([buffer.bytes, budget.bytes, buffer.oldestAtMs]).toEqual([0, 0, undefined]);
      }),
    );
  });

  it.each([
    ['lay in Kafka for 200 ms until it was fetched', -200, -200],
    ['waited for the sink for an hour', -3_600_000, -500],
    ['bears the time of a clock that is ahead', 60_000, 0],
  ])('counts the age of a record that %s', (_, producedMs, since) => {
    const clock = new ManualClock();
    const limits = { maxRecords: 10, maxBytes: 1e9, fetchWaitMs: 500 };
    const buffer = new BlockBuffer(valve(), limits, new MemoryBudget(1e9), 0, clock);
    const start = clock.monotonicMs();
    buffer.take([{ ...recordOf(0), timestamp: clock.now() + producedMs }, recordOf(1)]);
    expect((buffer.oldestAtMs ?? Number.NaN) - start).toBe(since);
  });
});
