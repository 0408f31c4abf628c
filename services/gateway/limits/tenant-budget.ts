import { systemClock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { ServiceContext } from '../../platform/lifecycle.ts';
import type { GatewayConfig } from '../config.ts';
import { type BudgetSource, InsuredBudget, LocalBudget } from './budget.ts';
import { SOURCE_BURST_SHARE } from './leased-token-bucket.ts';
import { RedisBudget } from './redis-budget.ts';

export interface TenantBudget extends BudgetSource {
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
): TenantBudget {
  const { TENANT_MESSAGES_PER_S: perSecond, REDIS_URL: url, LIMIT_PEERS: peers } = config;
  const burst = Math.max(1, perSecond * SOURCE_BURST_SHARE);
  if (url === undefined) {
    const local = new LocalBudget({ perSecond, burst }, systemClock);
    return { lease: (asks) => local.lease(asks), close: async () => {} };
  }
  const shared = new RedisBudget(url, { perSecond, burst }, `parley:${config.TOPIC_PREFIX}tenant:`, log);
  const insured = new InsuredBudget({
    shared,
    local: new LocalBudget({ perSecond: perSecond / peers, burst: Math.max(1, burst / peers) }, systemClock),
    clock: systemClock,
    onChange: (isShared, error) => {
      if (isShared) log.info('Redis is back: the budgets of tenants are shared again');
      else log.warn({ err: messageOf(error), peers }, 'Redis is away: the budgets of tenants are this gateway’s own');
    },
  });
  metrics.gauge('parley_gateway_budgets_shared', '1 while tenants’ budgets are shared through Redis', [], (gauge) =>
    gauge.set(insured.isShared ? 1 : 0),
  );
  return { lease: (asks) => insured.lease(asks), close: () => shared.close() };
}
