import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Intake, MemoryBudget } from './block-buffer.ts';
import { records } from './testing/fetched-records.ts';

describe('the intake', () => {
  const valve = () => {
    const calls: string[] = [];
    return { calls, pause: () => calls.push('pause'), resume: () => calls.push('resume') };
  };

  it('pauses at its limits, counts a block until it is in, and resumes at half', () => {
    const gate = valve();
    const intake = new Intake(gate, { maxRecords: 10, maxBytes: 1e9 }, new MemoryBudget(1e9), 0, () => 0);
    intake.take(records(0, 10));
    expect(gate.calls).toEqual(['pause']);
    expect(intake.cut(6, 1e9)).toHaveLength(6);
    expect(gate.calls).toEqual(['pause']);
    intake.free();
    expect(gate.calls).toEqual(['pause', 'resume']);
  });

  it('shares a budget with the other partitions', () => {
    const [a, b] = [valve(), valve()];
    const budget = new MemoryBudget(4_000);
    const first = new Intake(a, { maxRecords: 1_000, maxBytes: 1e9 }, budget, 0, () => 0);
    const second = new Intake(b, { maxRecords: 1_000, maxBytes: 1e9 }, budget, 0, () => 0);
    first.take(records(0, 10));
    second.take(records(0, 1));
    expect([a.calls, b.calls]).toEqual([['pause'], ['pause']]);
    first.close();
    expect(b.calls).toEqual(['pause', 'resume']);
    expect(budget.bytes).toBe(400);
  });

  it('never pauses below the end of a block that must be whole', () => {
    const gate = valve();
    const intake = new Intake(gate, { maxRecords: 2, maxBytes: 1e9 }, new MemoryBudget(1), 0, () => 0);
    intake.need(50);
    intake.take(records(0, 49));
    expect(gate.calls).toEqual([]);
    intake.take(records(49, 60));
    expect(gate.calls).toEqual(['pause']);
    expect(intake.cutBelow(50).map(({ offset }) => offset)).toEqual(records(0, 50).map(({ offset }) => offset));
    expect(intake.head).toBe(50);
  });

  it('cuts blocks that give back every record once, in order, and keeps its count of bytes', () => {
    const cuts = fc.array(fc.record({ rows: fc.integer({ min: 1, max: 20 }), bytes: fc.nat(8_000), back: fc.nat(3) }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), cuts, (count, steps) => {
        const budget = new MemoryBudget(1e9);
        const intake = new Intake(valve(), { maxRecords: 1e9, maxBytes: 1e9 }, budget, 0, () => 0);
        intake.take(records(0, count));
        const seen: number[] = [];
        for (const { rows, bytes, back } of steps) {
          const cut = intake.cut(rows, bytes);
          const kept = cut.slice(0, Math.max(1, cut.length - back));
          intake.putBack(cut.slice(kept.length));
          seen.push(...kept.map(({ offset }) => offset));
          intake.free();
        }
        seen.push(...intake.cutBelow(count).map(({ offset }) => offset));
        intake.free();
        expect(seen).toEqual(records(0, count).map(({ offset }) => offset));
        expect([intake.bytes, budget.bytes, intake.oldestAtMs]).toEqual([0, 0, undefined]);
      }),
    );
  });
});
