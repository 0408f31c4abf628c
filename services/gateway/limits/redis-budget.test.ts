import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { createLogger } from '../../platform/logger.ts';
import { Metrics } from '../../platform/metrics.ts';
import { hasRedis, RedisServer } from '../testing/redis-server.ts';
import type { Lease, RateOf } from './budget.ts';
import { type TenantBudget, tenantBudget } from './tenant-budget.ts';

const describeWithRedis = hasRedis ? describe : describe.skip;

const leaseOf = async (budget: TenantBudget, name: string, wanted: number): Promise<Lease> =>
  (await budget.lease([[name, wanted]]))[0] as Lease;

describeWithRedis('budgets in Redis (skipped: no redis-server on this machine)', () => {
  const settings = { TENANT_MESSAGES_PER_S: 100, LIMIT_PEERS: 2, TOPIC_PREFIX: 'test.' };
  const budgets: TenantBudget[] = [];
  const metrics = new Metrics('test');
  let server: RedisServer;

  const machine = (registry = new Metrics('test'), rateOf?: RateOf): TenantBudget => {
    const budget = tenantBudget(
      { ...settings, REDIS_URL: server.url },
      { log: createLogger('test', 'silent'), metrics: registry },
      rateOf,
    );
    budgets.push(budget);
    return budget;
  };

  beforeAll(async () => {
    server = await RedisServer.create();
  });

  afterAll(async () => {
    await Promise.all(budgets.map((budget) => budget.close()));
    await server.remove();
  });

  it('are one budget for gateways on several machines; while Redis is away each has its part; then they are one again', async () => {
    const [one, two] = [machine(metrics), machine()];
    const isShared = async () => /parley_gateway_budgets_shared\{.*\} 1\n/.test(await metrics.registry.metrics());
    // Half of the burst of 100 is kept in Redis; the rest is in the buckets of the workers.
    await eventually(async () => expect(await leaseOf(one, `probe-${Math.random()}`, 100)).toEqual([50, 0]));
    expect(await leaseOf(one, 'acme', 30)).toEqual([30, 0]);
    await eventually(async () => expect((await leaseOf(two, `probe-${Math.random()}`, 100))[0]).toBe(50));
    const started = performance.now();
    let granted = (await leaseOf(two, 'acme', 100))[0];
    while (performance.now() - started < 500) {
      for (const budget of [one, two]) granted += (await leaseOf(budget, 'acme', 100))[0];
    }
    expect(granted).toBeLessThanOrEqual(20 + ((performance.now() - started) / 1_000) * 100 + 20);
    expect(granted).toBeGreaterThanOrEqual(20 + 40);
    expect(await isShared()).toBe(true);

    await server.kill();
    expect(await leaseOf(one, 'during', 100)).toEqual([25, 0]);
    expect((await leaseOf(one, 'during', 100))[1]).toBeGreaterThan(0);
    expect(await isShared()).toBe(false);
    server.start();
    await eventually(async () => {
      await leaseOf(one, 'acme', 1);
      expect(await isShared()).toBe(true);
    });
  });

  it('have the rate of each tenant, also when it changes while all runs', async () => {
    let perSecond = 1_000;
    const budget = machine(new Metrics('test'), (tenant) => {
      const rate = tenant === 'large' ? perSecond : 100;
      return { perSecond: rate, burst: rate };
    });
    await eventually(async () => expect(await leaseOf(budget, 'small', 1_000)).toEqual([50, 0]));
    expect(await leaseOf(budget, 'large', 1_000)).toEqual([500, 0]);
    perSecond = 20;
    budget.refresh();
    // Within a second a thousand a second would be there, where twenty are.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await leaseOf(budget, 'large', 1_000))[0]).toBeLessThanOrEqual(10);
  });
});
