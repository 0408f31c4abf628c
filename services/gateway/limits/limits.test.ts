import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BotIdentity } from '../../core/bot-identity.ts';
import { ManualClock } from '../../core/clock.ts';
import { createLogger } from '../../platform/logger.ts';
import { SharedLimits } from '../workers/shared-limits.ts';
import { type BudgetSource, InsuredBudget, LocalBudget } from './budget.ts';
import { capacityOf, openFileLimit, placeLimitsOf, readCapacity } from './capacity.ts';
import { Places } from './connection-places.ts';
import { LeasedTokenBuckets, SOURCE_BURST_SHARE } from './leased-token-bucket.ts';
import { BucketTable } from './token-bucket.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('leased buckets of several workers', () => {
  const buckets = (perSecond: number, workers: number, clock: ManualClock, source?: BudgetSource) => {
    const shared = source ?? new LocalBudget({ perSecond, burst: Math.max(1, perSecond * SOURCE_BURST_SHARE) }, clock);
    return Array.from({ length: workers }, () =>
      new LeasedTokenBuckets({ perSecond, burst: perSecond, sharers: workers, source: shared, clock }).hold('tenant'),
    );
  };

  it('let through no more than the rate and one burst together, however the load is spread', async () => {
    const steps = fc.array(fc.record({ waitMs: fc.nat(80), worker: fc.nat(3), wanted: fc.nat(60) }), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 8, max: 2_000 }),
        fc.integer({ min: 1, max: 4 }),
        steps,
        async (rate, n, plan) => {
          const clock = new ManualClock();
          const held = buckets(rate, n, clock);
          const startedMs = clock.monotonicMs();
          let passed = 0;
          for (const { waitMs, worker, wanted } of plan) {
            clock.advance(waitMs);
            const bucket = held[worker % n];
            for (let i = 0; i < wanted; i++) {
              if ((bucket?.available(clock.monotonicMs()) ?? 0) < 1) expect(bucket?.refuse()).toBeGreaterThanOrEqual(1);
              else {
                bucket?.take();
                passed += 1;
              }
            }
            await turn();
          }
          // A bucket holds one token at least, so tiny budgets on many workers get up to one more each.
          expect(passed).toBeLessThanOrEqual(rate + n + (rate * (clock.monotonicMs() - startedMs)) / 1_000);
        },
      ),
    );
  });

  it('give the whole rate to the one worker that needs it', async () => {
    const clock = new ManualClock();
    const [busy] = buckets(1_000, 4, clock);
    let passed = 0;
    for (let ms = 0; ms < 10_000; ms += 5) {
      clock.advance(5);
      for (let i = 0; i < 20 && (busy?.available(clock.monotonicMs()) ?? 0) >= 1; i++) {
        busy?.take();
        passed += 1;
      }
      await turn();
    }
    expect(passed).toBeGreaterThan(9_500);
    expect(passed).toBeLessThanOrEqual(11_000);
  });

  it('fall back to one share each when the source does not answer', async () => {
    const clock = new ManualClock();
    const [bucket] = buckets(1_000, 4, clock, { lease: () => Promise.reject(new Error('gone')) });
    let passed = 0;
    for (let ms = 0; ms < 10_000; ms += 5) {
      clock.advance(5);
      while ((bucket?.available(clock.monotonicMs()) ?? 0) >= 1) {
        bucket?.take();
        passed += 1;
      }
      await turn();
    }
    expect(passed).toBeGreaterThan(2_000);
    expect(passed).toBeLessThanOrEqual(2_500 + 250);
  });
});

describe('a shared budget that goes away', () => {
  it('is replaced by the local one, asked once a second, and taken up again; each change is reported once', async () => {
    const clock = new ManualClock();
    const changes: boolean[] = [];
    let away = true;
    let asked = 0;
    const budget = new InsuredBudget({
      shared: {
        lease: async (asks) => {
          asked += 1;
          if (away) throw new Error('away');
          return asks.map(() => [1, 0]);
        },
      },
      local: { lease: async (asks) => asks.map(() => [7, 0]) },
      clock,
      onChange: (isShared) => changes.push(isShared),
    });
    for (let i = 0; i < 10; i++) expect(await budget.lease([['t', 9]])).toEqual([[7, 0]]);
    expect([asked, changes, budget.isShared]).toEqual([1, [false], false]);
    away = false;
    clock.advance(1_000);
    expect(await budget.lease([['t', 9]])).toEqual([[1, 0]]);
    expect([asked, changes, budget.isShared]).toEqual([2, [false, true], true]);
  });
});

describe('places', () => {
  const identity = (tenant: string, bot = 'b'): BotIdentity => ({ tenant, bot });

  it('are bounded in all and by tenant, and come back', () => {
    const places = new Places({ connections: 3, tenantConnections: 2, botConnections: 3 });
    expect([1, 2, 3].map(() => places.take(identity('a')))).toEqual([
      undefined,
      undefined,
      'too_many_tenant_connections',
    ]);
    expect([places.take(identity('b')), places.isFull, places.take(identity('c'))]).toEqual([
      undefined,
      true,
      'too_many_connections',
    ]);
    places.leave(identity('a'));
    expect([places.isFull, places.take(identity('c'))]).toEqual([false, undefined]);
  });

  it('of one bot leave room for the other bots of its tenant', () => {
    const places = new Places({ connections: 10, tenantConnections: 10, botConnections: 2 });
    const takes = ['greedy', 'greedy', 'greedy', 'modest'].map((bot) => places.take(identity('t', bot)));
    expect(takes).toEqual([undefined, undefined, 'too_many_bot_connections', undefined]);
    places.leave(identity('t', 'greedy'));
    expect(places.take(identity('t', 'greedy'))).toBeUndefined();
  });

  it('by default leave room beside any one tenant and any one bot', () => {
    const unset = { MAX_TENANT_CONNECTIONS: undefined, MAX_BOT_CONNECTIONS: undefined };
    expect(placeLimitsOf(19_488, unset)).toEqual({
      connections: 19_488,
      tenantConnections: 14_616,
      botConnections: 974,
    });
    expect(placeLimitsOf(3, unset)).toEqual({ connections: 3, tenantConnections: 100, botConnections: 100 });
  });

  it('of a worker that is gone come back, and the others get its part of a bot’s budget', () => {
    const notices: [number, string, number][] = [];
    const places = new Places({ connections: 10, tenantConnections: 10, botConnections: 10 });
    const budget = { lease: async () => [] };
    const sharedLimits = new SharedLimits({ places, budget, notify: (...change) => notices.push(change) });
    const [one, two, three] = [1, 2, 3].map((id) => sharedLimits.handlersFor(id));
    const twin = [identity('t', 'twin')];
    expect([one?.['enter']?.(twin), one?.['enter']?.(twin), two?.['enter']?.(twin)]).toEqual([[1], [1], [2]]);
    expect(three?.['enter']?.([identity('t', 'other'), ...twin])).toEqual([1, 3]);
    const name = '["t","twin"]';
    expect(notices).toEqual([
      [1, name, 2],
      [1, name, 3],
      [2, name, 3],
    ]);
    notices.length = 0;
    sharedLimits.forget(1);
    expect(notices).toEqual([
      [2, name, 2],
      [3, name, 2],
    ]);
    notices.length = 0;
    two?.['leave']?.(twin);
    expect(notices).toEqual([[3, name, 1]]);
    // A second leave, or the leave of a bot that never entered, frees no place of another bot.
    two?.['leave']?.(twin);
    expect(Array.from({ length: 9 }, () => places.take(identity('u')))).toEqual([
      ...Array(8).fill(undefined),
      'too_many_connections',
    ]);
  });

  it('divide a bot’s bucket, and give it back whole', () => {
    const clock = new ManualClock();
    const table = new BucketTable({ perSecond: 100, burst: 40, clock });
    table.divide('b', 2);
    const bucket = table.hold('b');
    expect(bucket.available(clock.monotonicMs())).toBe(20);
    table.divide('b', 1);
    clock.advance(1_000);
    expect(bucket.available(clock.monotonicMs())).toBe(40);
  });
});

describe('capacity', () => {
  it('never promises more than the open files allow', () => {
    const any = fc.integer({ min: 64, max: 2_000_000 });
    fc.assert(
      fc.property(
        any,
        fc.integer({ min: 1, max: 16 }),
        fc.option(any, { nil: undefined }),
        (files, workers, wanted) => {
          const { connections, connectionsPerWorker, socketsPerWorker } = capacityOf(files, workers, wanted);
          expect(connections).toBeGreaterThanOrEqual(1);
          expect(connections).toBeLessThanOrEqual(Math.max(workers, workers * (files - 512)));
          expect(connections).toBeLessThanOrEqual(wanted ?? Number.POSITIVE_INFINITY);
          expect(connectionsPerWorker * workers).toBeGreaterThanOrEqual(connections);
          expect(socketsPerWorker).toBeGreaterThanOrEqual(connectionsPerWorker);
          if (files > 1_024) expect(socketsPerWorker).toBeLessThan(files);
        },
      ),
    );
  });

  it('is read from the system, and said when it is less than was asked for', () => {
    const limits = (files: string) => () =>
      `Limit\nMax open files            ${files}                20000     files\n`;
    expect([openFileLimit(limits('20000')), openFileLimit(limits('unlimited'))]).toEqual([
      20_000,
      Number.POSITIVE_INFINITY,
    ]);
    expect(openFileLimit(() => 'something else')).toBe(1_024);
    const failing = () => {
      throw new Error('no /proc');
    };
    expect(openFileLimit(failing)).toBe(1_024);
    expect(openFileLimit()).toBeGreaterThan(0);
    const log = createLogger('test', 'silent');
    const wish = { MAX_CONNECTIONS: 2, MAX_TENANT_CONNECTIONS: 9, MAX_BOT_CONNECTIONS: 7, GATEWAY_WORKERS: 2 };
    expect(readCapacity(wish, log).places).toEqual({ connections: 2, tenantConnections: 9, botConnections: 7 });
  });
});
