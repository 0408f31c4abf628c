import { systemClock } from '../../core/clock.ts';
import type { ServiceContext } from '../../platform/lifecycle.ts';
import type { GatewayConfig } from '../config.ts';
import { type BudgetSource, LocalBudget } from './budget.ts';
import { SOURCE_BURST_SHARE } from './purse.ts';

export interface TenantBudget extends BudgetSource {
  close(): Promise<void>;
}

/** Where the budgets of tenants are kept. */
export async function tenantBudget(config: GatewayConfig, _context: ServiceContext): Promise<TenantBudget> {
  const rate = config.TENANT_MESSAGES_PER_S;
  const local = new LocalBudget({ perSecond: rate, burst: Math.max(1, rate * SOURCE_BURST_SHARE) }, systemClock);
  return { lease: (asks) => local.lease(asks), close: async () => {} };
}
