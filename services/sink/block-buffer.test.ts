import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../core/clock.ts';
import { BlockBuffer, MemoryBudget } from './block-buffer.ts';
import { blockGapMsFor, fetchWaitMsFor } from './cadence.ts';
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
    second.take(records(0, 2));
    expect([a.calls, b.calls]).toEqual([['pause'], []]);
    second.take(records(2, 3));
    expect(b.calls).toEqual(['pause']);
    first.close();
    expect(b.calls).toEqual(['pause', 'resume']);
    expect(budget.bytes).toBe(1_200);
  });

  it('leaves the whole budget to a partition that is alone', () => {
    const gate = valve();
    const budget = new MemoryBudget(4_000);
    const limits = { maxRecords: 1_000, maxBytes: 1e9, fetchWaitMs: 0 };
    const buffer = new BlockBuffer(gate, limits, budget, 0, new ManualClock());
    buffer.take(records(0, 9));
    expect(gate.calls).toEqual([]);
    buffer.take(records(9, 10));
    expect(gate.calls).toEqual(['pause']);
  });

  it('leaves room for the other partitions, however many cannot go on', () => {
    const LIMIT = 64_000;
    const action = fc.record({ buffer: fc.nat(5), records: fc.integer({ min: 1, max: 10 }), inserts: fc.boolean() });
    fc.assert(
      fc.property(fc.nat(5), fc.array(action, { maxLength: 300 }), (stuck, actions) => {
        const budget = new MemoryBudget(LIMIT);
        const gates = Array.from({ length: 6 }, valve);
        const isPaused = (index: number) => gates[index]?.calls.at(-1) === 'pause';
        const buffers = gates.map(
          (gate) =>
            new BlockBuffer(gate, { maxRecords: 1e9, maxBytes: 16_000, fetchWaitMs: 0 }, budget, 0, new ManualClock()),
        );
        // They cannot go on: they take until they are paused, and nothing of it ever goes in.
        for (let index = 0; index < stuck; index++) {
          const buffer = buffers[index] as BlockBuffer;
          while (!isPaused(index)) buffer.take(records(buffer.position, buffer.position + 10));
        }
        const wrong: string[] = [];
        for (const { buffer: index, records: count, inserts } of actions) {
          const buffer = buffers[index] as BlockBuffer;
          if (!isPaused(index)) buffer.take(records(buffer.position, buffer.position + count));
          if (index >= stuck && inserts) {
            buffer.cutBelow(buffer.position);
            buffer.free();
            if (isPaused(index)) wrong.push(`${index} is empty and paused`);
          }
          if (budget.bytes > LIMIT + 6 * 4_000) wrong.push(`${budget.bytes} bytes`);
        }
        for (const buffer of buffers.slice(stuck)) {
          buffer.cutBelow(buffer.position);
          buffer.free();
        }
        for (let index = stuck; index < 6; index++) {
          const buffer = buffers[index] as BlockBuffer;
          while (!isPaused(index)) buffer.take(records(buffer.position, buffer.position + 1));
          if (buffer.bytes < LIMIT / 2 / 6) wrong.push(`${index} has room for ${buffer.bytes} bytes`);
        }
        expect(wrong).toEqual([]);
      }),
    );
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

  it('lets blocks follow one another no faster than the deduplication windows reckon with, whatever times records bear', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 5_000 }),
        fc.integer({ min: -10_000, max: 10_000 }),
        (minAgeMs, producedMs) => {
          const clock = new ManualClock();
          const limits = { maxRecords: 10, maxBytes: 1e9, fetchWaitMs: fetchWaitMsFor(minAgeMs) };
          const buffer = new BlockBuffer(valve(), limits, new MemoryBudget(1e9), 0, clock);
          const cutAt = clock.monotonicMs();
          buffer.take([{ ...recordOf(0), timestamp: clock.now() + producedMs }]);
          const dueAt = (buffer.oldestAtMs ?? Number.NaN) + minAgeMs;
          return dueAt - cutAt >= blockGapMsFor(minAgeMs);
        },
      ),
    );
  });
});
