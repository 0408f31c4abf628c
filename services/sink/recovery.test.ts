import { describe, expect, it } from '@jest/globals';
import { lostItsStart, planRecovery } from './recovery.ts';

describe('recovery', () => {
  const intent = (next: number) => ({ kind: 'intent', next, layout: 2 }) as const;
  const closed = { kind: 'closed', layout: 2 } as const;
  const wiped = { kind: 'unknown', why: 'empty' } as const;
  const plan = (
    offset: number | null,
    state: Parameters<typeof planRecovery>[0]['committed']['state'],
    last?: [number, number],
    logStart = 0,
    lostStart = false,
  ) =>
    planRecovery({
      committed: { offset, state },
      lastBegun: last && { from: last[0], to: last[1], seq: 1, layout: 2 },
      logStart,
      lostStart,
    });

  it.each([
    ['a first start reads from the log’s start', plan(null, wiped), [], 0],
    ['a closed commit goes on', plan(50, closed, [40, 50]), [], 50],
    [
      'blocks without rows leave no trace, so what lies above the last one is read again',
      plan(90, closed, [40, 50]),
      [],
      50,
    ],
    ['a ClickHouse that lost everything is filled again from the log’s start', plan(90, closed, undefined, 7), [], 7],
    ['one of a backup from where it stands', plan(90, intent(95), [40, 50]), [], 50],
    ['retention may have been faster', plan(90, closed, [40, 50], 60), [], 60],
    [
      'a ClickHouse that was emptied under a running sink is filled from the log’s start, after the block that followed',
      plan(60, closed, [50, 60], 7, true),
      [{ from: 50, to: 60, begun: true, layout: 2 }],
      7,
    ],
    [
      'an intent that was not begun',
      plan(50, intent(60), [40, 50]),
      [{ from: 50, to: 60, begun: false, layout: 2 }],
      60,
    ],
    ['an intent that was begun', plan(50, intent(60), [50, 60]), [{ from: 50, to: 60, begun: true, layout: 2 }], 60],
    [
      'a reset replays the last block first',
      plan(0, wiped, [50, 60]),
      [{ from: 50, to: 60, begun: true, layout: 2 }],
      0,
    ],
    ['a reset forward too', plan(90, wiped, [50, 60]), [{ from: 50, to: 60, begun: true, layout: 2 }], 90],
    ['an expired group too', plan(null, wiped, [50, 60], 20), [{ from: 50, to: 60, begun: true, layout: 2 }], 20],
    [
      'an intent from a backup goes second',
      plan(10, intent(20), [50, 60]),
      [
        { from: 50, to: 60, begun: true, layout: 2 },
        { from: 10, to: 20, begun: false, layout: 2 },
      ],
      20,
    ],
    ['a block that retention removed is past help', plan(0, wiped, [50, 60], 70), [], 0],
    ['a namesake topic’s offset counts for nothing', plan(50, { kind: 'other_topic' }, undefined, 3), [], 3],
  ])('%s', (_, { replays, resumeAt }, expectedReplays, expectedResume) => {
    expect({ replays, resumeAt }).toEqual({ replays: expectedReplays, resumeAt: expectedResume });
  });
});

describe('a ClickHouse that lost its start', () => {
  it.each([
    ['knows of no block at all', undefined, false],
    ['has the first block', { seq: 1, lowest: 50, ageS: 60 }, false],
    ['begins with a later block of today, above the log’s start', { seq: 9, lowest: 50, ageS: 60 }, true],
    [
      'has been filled again from the log’s start since, or begins where retention has cut the log by now',
      { seq: 9, lowest: 20, ageS: 60 },
      false,
    ],
    ['has had its first blocks removed by its TTL', { seq: 9, lowest: 50, ageS: 380 * 86_400 }, false],
  ])('%s', (_, first, expected) => expect(lostItsStart(first, 20)).toBe(expected));
});
