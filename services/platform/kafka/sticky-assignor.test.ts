import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Assignment, assignSticky, type StickyMember } from './sticky-assignor.ts';

const TOPICS = ['events', 'replay'];
const ids = (count: number) => Array.from({ length: count }, (_, index) => `m${index}`);

const newcomer = (memberId: string): StickyMember => ({ memberId, topics: TOPICS, generation: -1, owned: {} });
/** The members as they come into the next generation. */
const carried = (assignment: Assignment, generation: number): StickyMember[] =>
  [...assignment].map(([memberId, owned]) => ({ memberId, topics: TOPICS, generation, owned }));

function owners(assignment: Assignment, topic: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const [memberId, owned] of assignment) {
    for (const partition of owned[topic] ?? []) {
      if (found.has(partition)) throw new Error(`${topic}/${partition} belongs to two members`);
      found.set(partition, memberId);
    }
  }
  return found;
}

/** Every partition has one owner, and no member has two more of a topic than another. */
function expectFair(assignment: Assignment, partitions: Record<string, number>): void {
  for (const [topic, count] of Object.entries(partitions)) {
    const owned = owners(assignment, topic);
    const sizes = [...assignment.values()].map((each) => each[topic]?.length ?? 0);
    const isWhole = owned.size === count && Math.max(...owned.keys()) === count - 1;
    if (!isWhole || Math.max(...sizes) - Math.min(...sizes) > 1) throw new Error(`${topic}: ${count} as ${sizes}`);
  }
}

function moved(before: Assignment, after: Assignment, topic: string): { partition: number; from: string }[] {
  const now = owners(after, topic);
  return [...owners(before, topic)]
    .filter(([partition, owner]) => now.get(partition) !== owner)
    .map(([partition, from]) => ({ partition, from }));
}

describe('the sticky assignor', () => {
  it('moves at most ⌈P/(n+1)⌉ partitions to a member that joins, only those of a member that leaves, and stays fair', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'join' as const, which: 0 }),
      fc.record({ kind: fc.constant('leave' as const), which: fc.nat() }),
      fc.record({ kind: fc.constant('grow' as const), which: fc.integer({ min: 1, max: 12 }) }),
      fc.constant({ kind: 'rejoin' as const, which: 0 }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 12 }), (count, steps) => {
        let partitions: Record<string, number> = { events: count, replay: 12 };
        let assignment = assignSticky([newcomer('first')], partitions);
        for (const [index, { kind, which }] of steps.entries()) {
          const before = assignment;
          let members = carried(before, index);
          const left = members[which % members.length]?.memberId;
          if (kind === 'join') members.push(newcomer(`joined-${index}`));
          if (kind === 'leave' && members.length > 1) members = members.filter(({ memberId }) => memberId !== left);
          if (kind === 'grow') partitions = { ...partitions, events: (partitions['events'] ?? 0) + which };
          assignment = assignSticky(members, partitions);
          expectFair(assignment, partitions);
          for (const topic of TOPICS) {
            const moves = moved(before, assignment, topic);
            const allowed = kind === 'join' ? Math.ceil((partitions[topic] ?? 0) / members.length) : 0;
            const isAllowed =
              kind === 'leave' ? moves.every(({ from }) => from === left) : kind === 'grow' || moves.length <= allowed;
            if (!isAllowed) throw new Error(`${kind}: ${moves.length} partitions of ${topic} moved`);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('spreads the odd partitions of several topics over all members', () => {
    const assignment = assignSticky(ids(5).map(newcomer), { events: 12, replay: 12, dlq: 1 });
    const totals = [...assignment.values()].map((owned) => Object.values(owned).flat().length).sort();
    expect(totals).toEqual([4, 5, 5, 5, 5]);
  });

  it('believes the later generation where two members speak of one partition, and neither of what is not there', () => {
    const zombie = { ...newcomer('a'), generation: 3, owned: { events: [0, 1, 2, 3, 99, -1] } };
    const owner = { ...newcomer('b'), generation: 4, owned: { events: [2, 3] } };
    const assignment = assignSticky([zombie, owner], { events: 4 });
    expect(Object.fromEntries(assignment)).toEqual({ a: { events: [0, 1] }, b: { events: [2, 3] } });
  });

  it('gives a topic to those alone who read it', () => {
    const assignment = assignSticky([{ ...newcomer('a'), topics: ['events'] }, newcomer('b')], {
      events: 2,
      replay: 2,
    });
    expect(Object.fromEntries(assignment)).toEqual({ a: { events: [0] }, b: { events: [1], replay: [0, 1] } });
  });
});
