import { systemClock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { ServiceContext } from '../../platform/lifecycle.ts';
import type { GatewayConfig } from '../config.ts';
import { type BudgetSource, InsuredBudget, LocalBudget, type RateOf } from './budget.ts';
import { SOURCE_BURST_SHARE } from './leased-token-bucket.ts';
import { RedisBudget } from './redis-budget.ts';

export interface TenantBudget extends BudgetSource {
  /** Takes over rates that have changed. */
  refresh(): void;
  close(): Promise<void>;
}

type Settings = Pick<GatewayConfig, 'TENANT_MESSAGES_PER_S' | 'REDIS_URL' | 'LIMIT_PEERS' | 'TOPIC_PREFIX'>;

/**
 * The budgets of tenants: kept in this process, or in Redis and, while Redis is away, in this process with this
 * gateway's part of the rate.
 */
export function tenantBudget(
  config: Settings,
  { log, metrics }: Pick<ServiceContext, 'log' | 'metrics'>,
  rateOf: RateOf = () => ({ perSecond: config.TENANT_MESSAGES_PER_S, burst: config.TENANT_MESSAGES_PER_S }),
): TenantBudget {
  const { REDIS_URL: url, LIMIT_PEERS: peers } = config;
  /** What the source keeps of a tenant's rate, of an `n`-th of it. */
  const kept =
    (n: number): RateOf =>
    (tenant) => {
      const { perSecond, burst } = rateOf(tenant);
      return { perSecond: perSecond / n, burst: Math.max(1, (burst * SOURCE_BURST_SHARE) / n) };
    };
  const localOf = (n: number) => new LocalBudget(kept(n)(''), systemClock, kept(n));
  if (url === undefined) {
    const local = localOf(1);
    return { lease: (asks) => local.lease(asks), refresh: () => local.refresh(), close: async () => {} };
  }
  const shared = new RedisBudget(url, kept(1), `parley:${config.TOPIC_PREFIX}tenant:`, log);
  const local = localOf(peers);
  const insured = new InsuredBudget({
    shared,
    local,
    clock: systemClock,
    onChange: (isShared, error) => {
      if (isShared) log.info('Redis is back: the budgets of tenants are shared again');
      else log.warn({ err: messageOf(error), peers }, 'Redis is away: the budgets of tenants are this gateway’s own');
    },
  });
  metrics.gauge('parley_gateway_budgets_shared', '1 while tenants’ budgets are shared through Redis', [], (gauge) =>
    gauge.set(insured.isShared ? 1 : 0),
  );
  return {
    lease: (asks) => insured.lease(asks),
    refresh: () => local.refresh(),
    close: () => shared.close(),
  };
}
