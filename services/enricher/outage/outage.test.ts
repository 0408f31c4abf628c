import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BudgetEdge } from './budget-edge.ts';
import { FailureWindow } from './failure-window.ts';
import { type StormChange, StormGuard } from './storm-guard.ts';

/** Timers and the monotonic clock, moved by the test. */
beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});
const settle = () => jest.advanceTimersByTimeAsync(0);

describe('FailureWindow', () => {
  it('counts the last minute and forgets what is older', () => {
    let now = 0;
    const window = new FailureWindow(60_000, () => now);
    window.add(true);
    now = 30_000;
    window.add(false);
    window.add(true);
    expect(window.counts()).toEqual({ failed: 2, all: 3 });
    now = 61_000;
    expect(window.counts()).toEqual({ failed: 1, all: 2 });
    now = 10_000_000;
    expect(window.counts()).toEqual({ failed: 0, all: 0 });
    window.add(true);
    expect(window.counts()).toEqual({ failed: 1, all: 1 });
  });
});

describe('StormGuard', () => {
  const wanted = { stillWanted: () => true };

  function guarded(maxHeld = 1_000) {
    const changes: StormChange[] = [];
    const guard = new StormGuard({ maxHeld, probeEveryMs: 5_000, onChange: (_, why) => changes.push(why) });
    const verdicts: string[] = [];
    /** A record that the API fails; its verdict comes to `verdicts` unless it has to wait. */
    const fail = (probe = false, waiter = wanted) => {
      const verdict = guard.failed(probe, waiter);
      if (verdict instanceof Promise) void verdict.then((each) => verdicts.push(each));
      else verdicts.push(verdict);
    };
    const times = (count: number, work: () => void) => {
      for (let n = 0; n < count; n++) work();
    };
    return { guard, changes, verdicts, fail, times };
  }

  it('lets dead letters be while fewer than 200 records were judged, or fewer than half of them failed', () => {
    const { guard, verdicts, fail, times } = guarded();
    times(199, fail);
    expect(guard.state).toBe('calm');
    times(1_000, () => guard.passed(false));
    times(500, fail);
    expect(guard.state).toBe('calm');
    expect(verdicts).toEqual(Array(699).fill('dead_letter'));
  });

  it('trips at half of at least 200 within a minute, and holds what fails from then on', () => {
    const { guard, changes, verdicts, fail, times } = guarded(3);
    times(100, () => guard.passed(false));
    times(99, fail);
    expect(guard.state).toBe('calm');
    fail();
    expect([guard.state, guard.held, changes]).toEqual(['storm', 1, ['tripped']]);
    expect(verdicts).toHaveLength(99);
    expect(guard.isFull).toBe(false);
    times(2, fail);
    expect([guard.held, guard.isFull]).toEqual([3, true]);
    guard.close();
  });

  it.each([
    ['restarted five times', 6, 1],
    ['three instances', 1, 3],
    ['three instances, restarted five times', 6, 3],
  ])('keeps its bound over restarts and instances: %s', (_what, lives, instances) => {
    let letters = 0;
    for (let life = 0; life < lives; life++) {
      const guards = Array.from({ length: instances }, () => guarded().guard);
      for (const guard of guards) guard.recall(letters);
      const tripped = () => guards.every(({ state }) => state === 'storm');
      for (let n = 0; n < 2_000 && !tripped(); n++) {
        const guard = guards[n % instances] as StormGuard;
        if (guard.failed(false, wanted) !== 'dead_letter') continue;
        letters++;
        for (const each of guards) each.letterSeen();
      }
      expect(tripped()).toBe(true);
      for (const guard of guards) guard.close();
    }
    // 200, and four that an instance has to judge before it believes that it is as bad for its own records.
    expect(letters).toBeLessThanOrEqual(200 + 4 * lives * instances);
  });

  it('is not tripped by the dead letters of others while its own records pass', () => {
    const { guard, fail, times } = guarded();
    guard.recall(5_000);
    times(10, () => guard.passed(false));
    times(9, fail);
    expect(guard.state).toBe('calm');
    guard.close();
  });

  it('does not trip over what failed more than a minute ago', () => {
    const { guard, fail, times } = guarded();
    times(150, fail);
    jest.advanceTimersByTime(66_000);
    times(150, fail);
    expect(guard.state).toBe('calm');
  });

  it('tries one record every 5 s, and all of them after three in a row passed', async () => {
    const { guard, changes, verdicts, fail, times } = guarded();
    times(210, fail);
    expect(guard.held).toBe(11);
    verdicts.length = 0;
    await jest.advanceTimersByTimeAsync(4_900);
    expect(verdicts).toEqual([]);
    await jest.advanceTimersByTimeAsync(200);
    expect(verdicts).toEqual(['probe']);
    // The probe is still on its way: no other one.
    await jest.advanceTimersByTimeAsync(20_000);
    expect(verdicts).toEqual(['probe']);
    guard.passed(true);
    for (const outcome of ['pass', 'fail', 'pass', 'pass'] as const) {
      await jest.advanceTimersByTimeAsync(5_000);
      if (outcome === 'pass') guard.passed(true);
      else fail(true);
      expect(guard.state).toBe('storm');
    }
    // A failure in between begins the count anew; records that were never held do not count.
    times(10, () => guard.passed(false));
    expect(guard.state).toBe('storm');
    await jest.advanceTimersByTimeAsync(5_000);
    guard.passed(true);
    await settle();
    expect([guard.state, guard.held, changes]).toEqual(['calm', 0, ['tripped', 'probes']]);
    // 11 held, one of them twice; six went out as probes.
    expect(verdicts.filter((verdict) => verdict === 'retry')).toHaveLength(6);
    // The count begins anew as well.
    times(199, fail);
    expect(guard.state).toBe('calm');
  });

  it('is released by an operator, for as long as they say', async () => {
    const { guard, verdicts, fail, times, changes } = guarded();
    times(220, fail);
    expect(guard.releaseFor(600_000)).toBe(21);
    await settle();
    expect([guard.state, guard.held]).toEqual(['calm', 0]);
    expect(verdicts.slice(-21)).toEqual(Array(21).fill('retry'));
    times(1_000, fail);
    expect([guard.state, verdicts.at(-1)]).toEqual(['calm', 'dead_letter']);
    jest.advanceTimersByTime(601_000);
    times(200, fail);
    expect([guard.state, changes]).toEqual(['storm', ['tripped', 'operator', 'tripped']]);
    guard.close();
  });

  it('lets go of records whose partition was lost, and then takes any record for the probe', async () => {
    const { guard, verdicts, fail, times } = guarded();
    let owned = true;
    times(199, fail);
    for (let n = 0; n < 5; n++) fail(false, { stillWanted: () => owned });
    owned = false;
    await jest.advanceTimersByTimeAsync(5_000);
    expect([guard.state, guard.held]).toEqual(['storm', 0]);
    expect(verdicts.slice(-5)).toEqual(Array(5).fill('abandoned'));
    for (let n = 0; n < 3; n++) {
      guard.passed(false);
      guard.passed(false);
      expect(guard.state).toBe(n < 2 ? 'storm' : 'calm');
      await jest.advanceTimersByTimeAsync(5_000);
    }
  });

  it('lets another one probe when a probe ends without a verdict', async () => {
    const { guard, verdicts, fail, times } = guarded();
    times(210, fail);
    await jest.advanceTimersByTimeAsync(5_000);
    guard.forget(true);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(verdicts.filter((verdict) => verdict === 'probe')).toHaveLength(2);
    guard.close();
    await settle();
    expect(verdicts.filter((verdict) => verdict === 'abandoned')).toHaveLength(9);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('BudgetEdge', () => {
  it('reports each item at its time whatever the order, settled ones never, and then rests', () => {
    const due: string[] = [];
    const edge = new BudgetEdge<{ name: string; settled: boolean }>(({ name }) => due.push(name));
    const item = (name: string) => ({ name, settled: false });
    const settled = item('settled');
    expect(edge.add(item('late'), 340)).toBe(true);
    edge.add(settled, 100);
    edge.add(item('early'), 40);
    edge.add(item('at once'), 1);
    settled.settled = true;
    jest.advanceTimersByTime(10);
    expect(due).toEqual(['at once']);
    jest.advanceTimersByTime(20);
    expect(due).toEqual(['at once']);
    jest.advanceTimersByTime(20);
    expect(due).toEqual(['at once', 'early']);
    edge.add(item('now'), 1);
    jest.advanceTimersByTime(10);
    expect(due).toEqual(['at once', 'early', 'now']);
    jest.advanceTimersByTime(270);
    expect(due).toHaveLength(3);
    jest.advanceTimersByTime(10);
    expect(due).toEqual(['at once', 'early', 'now', 'late']);
    expect(jest.getTimerCount()).toBe(0);
    edge.add(item('again'), 25);
    jest.advanceTimersByTime(40);
    expect(due.at(-1)).toBe('again');
    edge.close();
  });

  it('takes nothing that is over, or is due in hours', () => {
    const edge = new BudgetEdge<{ settled: boolean }>(() => expect('due').toBe('never'));
    expect([0, -5, Number.NaN, 3_600_000].map((aheadMs) => edge.add({ settled: false }, aheadMs))).toEqual(
      Array(4).fill(false),
    );
    jest.advanceTimersByTime(4_000_000);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('reports what came due while the event loop was held up, in order', () => {
    let now = 0;
    const due: number[] = [];
    const edge = new BudgetEdge<{ at: number; settled: boolean }>(
      ({ at }) => due.push(at),
      () => now,
    );
    for (const at of [300, 100, 200]) edge.add({ at, settled: false }, at);
    now = 5_000;
    jest.advanceTimersByTime(10);
    expect(due).toEqual([100, 200, 300]);
    edge.close();
  });
});
