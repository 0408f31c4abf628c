import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FIRST_INSTANCES, MAX_INSTANCES, type PlanOptions, planChaos, planEndMs } from './plan.ts';
import { SHORT_RUN } from './short-run.ts';

const options: fc.Arbitrary<PlanOptions> = fc.record({
  seed: fc.nat(),
  events: fc.integer({ min: 1, max: 120 }),
  gapMs: fc.integer({ min: 200, max: 10_000 }),
});

const serviceOf = (part: string) => part.replace(/-\d+$/, '');

describe('the schedule of a chaos run', () => {
  it('is the same for the same seed, and another for another', () => {
    fc.assert(fc.property(options, (some) => expect(planChaos(some)).toEqual(planChaos(some))));
    const of = (seed: number) => planChaos({ seed, events: 40, gapMs: 3_000 });
    expect(of(1)).not.toEqual(of(2));
  });

  it('hits only what is there, one fault at a time each, and never removes the last instance', () => {
    fc.assert(
      fc.property(options, (some) => {
        const freeAt = new Map(FIRST_INSTANCES.map(([name]) => [name, 0]));
        for (const { kind, part, at_ms, for_ms } of planChaos(some)) {
          if (kind === 'poison') continue;
          if (kind === 'add') {
            expect(freeAt.has(part)).toBe(false);
            freeAt.set(part, at_ms);
          } else {
            expect(freeAt.get(part)).toBeLessThanOrEqual(at_ms);
            freeAt.set(part, at_ms + for_ms);
          }
          if (kind === 'remove') freeAt.delete(part);
          const count = [...freeAt.keys()].filter((name) => serviceOf(name) === serviceOf(part)).length;
          expect(count).toBeGreaterThanOrEqual(1);
          expect(count).toBeLessThanOrEqual(MAX_INSTANCES);
        }
      }),
    );
  });

  it('is bounded in length, and every fault ends', () => {
    fc.assert(
      fc.property(options, (some) => {
        const plan = planChaos(some);
        expect(plan.map(({ number }) => number)).toEqual(plan.map((_, index) => index + 1));
        expect(plan.map(({ at_ms }) => at_ms)).toEqual(plan.map(({ at_ms }) => at_ms).sort((a, b) => a - b));
        expect(planEndMs(plan)).toBeLessThanOrEqual(some.events * (1.5 * some.gapMs + 1) + 9_000);
        for (const { kind, for_ms } of plan) if (kind === 'freeze') expect(for_ms).toBeGreaterThan(6_000);
      }),
    );
  });

  it('meets every kind, and kills every service, within 40 events', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const plan = planChaos({ seed, events: 40, gapMs: 3_000 });
        expect(new Set(plan.map(({ kind }) => kind)).size).toBe(9);
        const killed = plan.filter(({ kind }) => kind === 'kill').map(({ part }) => serviceOf(part));
        expect(new Set(killed).size).toBe(6);
      }),
    );
  });

  it('of the short run kills the broker, an enricher and the ClickHouse endpoint, and freezes a sink', () => {
    const hits = planChaos(SHORT_RUN).map(({ kind, part }) => `${kind} ${serviceOf(part)}`);
    for (const hit of ['kill kafka', 'kill enricher', 'kill clickhouse', 'freeze sink']) expect(hits).toContain(hit);
  });
});
