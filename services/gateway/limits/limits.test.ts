import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BotIdentity } from '../../core/bot-identity.ts';
import { ManualClock } from '../../core/clock.ts';
import { createLogger } from '../../platform/logger.ts';
import { Keeper } from '../workers/keeper.ts';
import { Places } from './admission.ts';
import { type BudgetSource, InsuredBudget, LocalBudget } from './budget.ts';
import { capacityOf, openFileLimit, readCapacity } from './capacity.ts';
import { PurseTable, SOURCE_BURST_SHARE } from './purse.ts';
import { BucketTable } from './token-bucket.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('purses of several workers', () => {
  const purses = (perSecond: number, workers: number, clock: ManualClock, source?: BudgetSource) => {
    const shared = source ?? new LocalBudget({ perSecond, burst: Math.max(1, perSecond * SOURCE_BURST_SHARE) }, clock);
    return Array.from({ length: workers }, () =>
      new PurseTable({ perSecond, burst: perSecond, sharers: workers, source: shared, clock }).hold('tenant'),
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
          const held = purses(rate, n, clock);
          const startedMs = clock.monotonicMs();
          let passed = 0;
          for (const { waitMs, worker, wanted } of plan) {
            clock.advance(waitMs);
            const purse = held[worker % n];
            for (let i = 0; i < wanted; i++) {
              if ((purse?.available(clock.monotonicMs()) ?? 0) < 1) expect(purse?.refuse()).toBeGreaterThanOrEqual(1);
              else {
                purse?.take();
                passed += 1;
              }
            }
            await turn();
          }
          // A purse holds one token at least, so tiny budgets on many workers get up to one more each.
          expect(passed).toBeLessThanOrEqual(rate + n + (rate * (clock.monotonicMs() - startedMs)) / 1_000);
        },
      ),
    );
  });

  it('give the whole rate to whoever needs it', async () => {
    const clock = new ManualClock();
    const [busy] = purses(1_000, 4, clock);
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

  it('fall back to a part each when nobody answers', async () => {
    const clock = new ManualClock();
    const [purse] = purses(1_000, 4, clock, { lease: () => Promise.reject(new Error('gone')) });
    let passed = 0;
    for (let ms = 0; ms < 10_000; ms += 5) {
      clock.advance(5);
      while ((purse?.available(clock.monotonicMs()) ?? 0) >= 1) {
        purse?.take();
        passed += 1;
      }
      await turn();
    }
    expect(passed).toBeGreaterThan(2_000);
    expect(passed).toBeLessThanOrEqual(2_500 + 250);
  });
});

describe('a shared budget that goes away', () => {
  it('is replaced by the local one, asked once a second, and taken up again; each change is told once', async () => {
    const clock = new ManualClock();
    const told: boolean[] = [];
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
      onChange: (isShared) => told.push(isShared),
    });
    for (let i = 0; i < 10; i++) expect(await budget.lease([['t', 9]])).toEqual([[7, 0]]);
    expect([asked, told, budget.isShared]).toEqual([1, [false], false]);
    away = false;
    clock.advance(1_000);
    expect(await budget.lease([['t', 9]])).toEqual([[1, 0]]);
    expect([asked, told, budget.isShared]).toEqual([2, [false, true], true]);
  });
});

describe('places', () => {
  const entrant = (tenant: string, bot = 'b'): BotIdentity => ({ tenant, bot });

  it('are bounded in all and by tenant, and come back', () => {
    const places = new Places({ connections: 3, tenantConnections: 2 });
    expect([1, 2, 3].map(() => places.take(entrant('a')))).toEqual([
      undefined,
      undefined,
      'too_many_tenant_connections',
    ]);
    expect([places.take(entrant('b')), places.isFull, places.take(entrant('c'))]).toEqual([
      undefined,
      true,
      'too_many_connections',
    ]);
    places.leave(entrant('a'));
    expect([places.isFull, places.take(entrant('c'))]).toEqual([false, undefined]);
  });

  it('of a worker that is gone come back, and the others get its part of a bot’s budget', () => {
    const told: [number, string, number][] = [];
    const places = new Places({ connections: 10, tenantConnections: 10 });
    const budget = { lease: async () => [] };
    const keeper = new Keeper({ places, budget, tell: (...change) => told.push(change) });
    const [one, two, three] = [1, 2, 3].map((id) => keeper.handlersFor(id));
    const twin = [entrant('t', 'twin')];
    expect([one?.['enter']?.(twin), one?.['enter']?.(twin), two?.['enter']?.(twin)]).toEqual([[1], [1], [2]]);
    expect(three?.['enter']?.([entrant('t', 'other'), ...twin])).toEqual([1, 3]);
    const name = '["t","twin"]';
    expect(told).toEqual([
      [1, name, 2],
      [1, name, 3],
      [2, name, 3],
    ]);
    told.length = 0;
    keeper.forget(1);
    expect(told).toEqual([
      [2, name, 2],
      [3, name, 2],
    ]);
    told.length = 0;
    two?.['leave']?.(twin);
    expect(told).toEqual([[3, name, 1]]);
    // A second leave, or one of a bot that never came, takes nobody's place away.
    two?.['leave']?.(twin);
    expect(Array.from({ length: 9 }, () => places.take(entrant('u')))).toEqual([
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
    const wish = { MAX_CONNECTIONS: 2, MAX_TENANT_CONNECTIONS: 9, GATEWAY_WORKERS: 2 };
    expect(readCapacity(wish, log).places).toEqual({ connections: 2, tenantConnections: 9 });
  });
});
