import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { freePort } from '../../platform/free-port.ts';
import { createLogger } from '../../platform/logger.ts';
import { Metrics } from '../../platform/metrics.ts';
import type { Lease } from './budget.ts';
import { type TenantBudget, tenantBudget } from './tenant-budget.ts';

/** No package ships one: where a machine has none (`apt-get install redis-server`), these tests are skipped. */
const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
const describeWithRedis = hasRedis ? describe : describe.skip;

const leaseOf = async (budget: TenantBudget, name: string, wanted: number): Promise<Lease> =>
  (await budget.lease([[name, wanted]]))[0] as Lease;

describeWithRedis('budgets in Redis (skipped: no redis-server on this machine)', () => {
  const settings = { TENANT_MESSAGES_PER_S: 100, LIMIT_PEERS: 2, TOPIC_PREFIX: 'test.' };
  const budgets: TenantBudget[] = [];
  const metrics = new Metrics('test');
  let folder: string;
  let port: number;
  let server: ReturnType<typeof spawn>;

  const startRedis = () =>
    spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]);
  const machine = (registry = new Metrics('test')): TenantBudget => {
    const url = `redis://127.0.0.1:${port}`;
    const budget = tenantBudget(
      { ...settings, REDIS_URL: url },
      { log: createLogger('test', 'silent'), metrics: registry },
    );
    budgets.push(budget);
    return budget;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-redis-'));
    port = await freePort();
    server = startRedis();
  });

  afterAll(async () => {
    await Promise.all(budgets.map((budget) => budget.close()));
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
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

    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGKILL');
    await ended;
    expect(await leaseOf(one, 'during', 100)).toEqual([25, 0]);
    expect((await leaseOf(one, 'during', 100))[1]).toBeGreaterThan(0);
    expect(await isShared()).toBe(false);
    server = startRedis();
    await eventually(async () => {
      await leaseOf(one, 'acme', 1);
      expect(await isShared()).toBe(true);
    });
  });
});
