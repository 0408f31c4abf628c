import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EVENT_KINDS, firstInstances, isWorldKind, LINKS, WORLD_TOPICS } from './faults.ts';
import { MAX_GROWTHS, MAX_INSTANCES, type PlanOptions, planChaos, planEndMs } from './planner.ts';
import { SHORT_CLUSTER_RUN, SHORT_RUN, SHORT_WORLD_RUN } from './short-run.ts';

const options: fc.Arbitrary<PlanOptions> = fc.record({
  seed: fc.nat(),
  events: fc.integer({ min: 1, max: 120 }),
  gapMs: fc.integer({ min: 200, max: 10_000 }),
  brokers: fc.constantFrom(1, 3),
  world: fc.boolean(),
});

const serviceOf = (part: string) => part.replace(/-\d+$/, '');

describe('the schedule of a chaos run', () => {
  it('is the same for the same seed, and another for another', () => {
    fc.assert(fc.property(options, (some) => expect(planChaos(some)).toEqual(planChaos(some))));
    const of = (seed: number) => planChaos({ seed, events: 40, gapMs: 3_000, brokers: 1 });
    expect(of(1)).not.toEqual(of(2));
  });

  it('hits only what is there, one fault at a time each, and never removes the last instance', () => {
    fc.assert(
      fc.property(options, (some) => {
        const names = [...firstInstances(some.brokers).map(([name]) => name), ...LINKS, 'controller'];
        const freeAt = new Map(names.map((name) => [name, 0]));
        let brokersFreeAt = 0;
        for (const { kind, part, at_ms, for_ms } of planChaos(some)) {
          if (kind === 'poison' || isWorldKind(kind)) continue;
          if (kind === 'add') {
            expect(freeAt.has(part)).toBe(false);
            freeAt.set(part, at_ms);
          } else {
            expect(freeAt.get(part)).toBeLessThanOrEqual(at_ms);
            freeAt.set(part, at_ms + for_ms);
          }
          // Two of three brokers must stay: one is broken at a time, whichever leads.
          if (serviceOf(part) === 'kafka' || part === 'controller') {
            expect(brokersFreeAt).toBeLessThanOrEqual(at_ms);
            brokersFreeAt = at_ms + for_ms;
          }
          if (kind === 'remove') freeAt.delete(part);
          const count = [...freeAt.keys()].filter((name) => serviceOf(name) === serviceOf(part)).length;
          expect([part, count >= 1, count <= MAX_INSTANCES]).toEqual([part, true, true]);
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
        for (const { kind, for_ms } of plan)
          if (kind === 'freeze' || kind === 'silence') expect(for_ms).toBeGreaterThan(6_000);
      }),
    );
  });

  // One part gets six faults of a list at most. Each keeps it busy for up to 12 s, which is eight events at the shortest
  // gap (1.5 s), and the next fault comes with the event after: 6 * 9 = 54. Brokers: 15 s once, 10 s five times: 51.
  it('meets every kind, and kills every service, within 54 events', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 3), (seed, brokers) => {
        const plan = planChaos({ seed, events: 54, gapMs: 3_000, brokers });
        expect(new Set(plan.map(({ kind }) => kind)).size).toBe(12);
        const killed = plan.filter(({ kind }) => kind === 'kill').map(({ part }) => serviceOf(part));
        expect(new Set(killed).size).toBe(brokers === 1 ? 7 : 8);
      }),
      // Two seeds that needed 41 and 44 events.
      {
        examples: [
          [309_399_858, 1],
          [4_601, 3],
        ],
      },
    );
  });

  it('draws what other people do to the cluster only where it is asked for, on its topics, and grows three times', () => {
    fc.assert(
      fc.property(options, (some) => {
        const plan = planChaos(some).filter(({ kind }) => isWorldKind(kind));
        if (!some.world) expect(plan).toEqual([]);
        for (const { kind, part } of plan) if (isWorldKind(kind)) expect(WORLD_TOPICS[kind]).toContain(part);
        expect(plan.filter(({ kind }) => kind === 'grow').length).toBeLessThanOrEqual(MAX_GROWTHS);
      }),
    );
    const all = planChaos({ seed: 3, events: 60, gapMs: 3_000, brokers: 1, world: true });
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(EVENT_KINDS));
  });

  it('keeps to the kinds that are asked for, and poison', () => {
    const kinds = fc.uniqueArray(fc.constantFrom(...EVENT_KINDS), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(options, kinds, (some, wanted) => {
        const found = planChaos({ ...some, kinds: wanted }).map(({ kind }) => kind);
        expect(found.filter((kind) => kind !== 'poison' && !wanted.includes(kind))).toEqual([]);
      }),
    );
  });

  it('hits every link within ten minutes', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const plan = planChaos({ seed, events: 300, gapMs: 2_000, brokers: 1 });
        const parts = new Set(plan.map(({ part }) => part));
        expect(LINKS.filter((link) => !parts.has(link))).toEqual([]);
      }),
      { seed: 1 },
    );
  });

  it('kills in the short run the broker, an enricher and ClickHouse, freezes a sink and breaks the network', () => {
    const hits = planChaos(SHORT_RUN).map(({ kind, part }) => `${kind} ${serviceOf(part)}`);
    for (const hit of ['kill kafka', 'kill enricher', 'kill clickhouse', 'freeze sink']) expect(hits).toContain(hit);
    expect(hits.filter((hit) => LINKS.some((link) => hit.endsWith(link)))).not.toEqual([]);
  });

  it('does in the short run of other people’s doings each of them once, and refuses for longer than a second', () => {
    const plan = planChaos(SHORT_WORLD_RUN);
    const done = plan.map(({ kind, part }) => `${kind} ${part}`);
    expect(done).toEqual([
      'refuse chat.enriched',
      'foreign chat.events',
      'poison chat.events',
      'grow chat.events',
      'delete_records chat.events',
    ]);
    expect(plan[0]?.for_ms).toBeGreaterThan(1_000);
  });

  it('kills in the short run on three brokers two of them, one after the other, and the leader of the quorum', () => {
    const killed = planChaos(SHORT_CLUSTER_RUN)
      .filter(({ kind }) => kind === 'kill')
      .map(({ part }) => part);
    expect(killed).toContain('controller');
    expect(new Set(killed.filter((part) => part.startsWith('kafka-'))).size).toBeGreaterThanOrEqual(2);
  });
});
