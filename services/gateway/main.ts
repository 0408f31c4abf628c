import cluster from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../core/clock.ts';
import { readConfig } from '../core/config.ts';
import { type RunningService, runService, type ServiceContext } from '../platform/lifecycle.ts';
import { adminRoutes } from './admin-routes.ts';
import { GATEWAY_SPEC, type GatewayConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import { readCapacity } from './limits/capacity.ts';
import { Places } from './limits/connection-places.ts';
import { LeasedTokenBuckets } from './limits/leased-token-bucket.ts';
import { RateLimits } from './limits/rate-limits.ts';
import { tenantBudget } from './limits/tenant-budget.ts';
import { BucketTable } from './limits/token-bucket.ts';
import { startSupervisor } from './workers/supervisor.ts';
import { runWorker } from './workers/worker.ts';

async function startAlone(config: GatewayConfig, context: ServiceContext): Promise<RunningService> {
  const { capacity, places } = readCapacity(config, context.log);
  process.on('SIGUSR2', () => context.log.warn('SIGUSR2 replaces workers, and there are none: GATEWAY_WORKERS is 1'));
  const rates = new RateLimits(config, context);
  const tenantRate = config.TENANT_MESSAGES_PER_S;
  context.metrics.gauge('parley_gateway_connections_max', 'Sockets that may be open at once', [], (gauge) =>
    gauge.set(capacity.connections),
  );
  const rate = { perSecond: tenantRate, burst: tenantRate, clock: systemClock, rateOf: rates.ofTenant };
  const bots = {
    perSecond: config.BOT_MESSAGES_PER_S,
    burst: config.BOT_BURST,
    rateOf: rates.ofBot,
    clock: systemClock,
  };
  const budget =
    config.REDIS_URL === undefined ? undefined : rates.keepFresh(tenantBudget(config, context, rates.ofTenant));
  const gateway = await startGateway(
    config,
    {
      workers: 1,
      rates,
      bots: rates.keepFresh(new BucketTable(bots)),
      tenants: rates.keepFresh(
        budget
          ? new LeasedTokenBuckets({ ...rate, source: budget, sharers: config.LIMIT_PEERS })
          : new BucketTable(rate),
      ),
      places: new Places(places),
      placeLimits: places,
      maxSockets: capacity.socketsPerWorker,
    },
    context,
  );
  return {
    ...gateway,
    routes: adminRoutes({
      disconnect: async (selector) => ({ sessions: gateway.disconnect(selector), unanswered: 0 }),
      sendAway: async (request) => ({ sessions: gateway.sendAway(request), unanswered: 0 }),
    }),
    stop: async () => {
      gateway.announceDrain();
      await delay(config.DRAIN_DELAY_MS);
      await gateway.stop();
      await budget?.close();
    },
  };
}

async function start(context: ServiceContext): Promise<RunningService> {
  const config = readConfig(GATEWAY_SPEC, context.env);
  return await (config.GATEWAY_WORKERS === 1 ? startAlone(config, context) : startSupervisor(config, context));
}

if (cluster.worker) await runWorker(cluster.worker, process.env);
// Longer than the longest delay and drain that can be configured (60 s + 120 s): the drain ends by itself before.
else await runService({ name: 'gateway', env: process.env, adminPort: 9480, drainTimeoutMs: 240_000, start });
