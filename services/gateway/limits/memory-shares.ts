import type { BotIdentity } from '../../core/bot-identity.ts';
import { botNameOf } from './connection-places.ts';

/** Whose share of a budget of bytes is used up. */
export type Share = 'bot' | 'tenant';

/** Parts of a budget, of 1. */
export interface ShareSizes {
  readonly bot: number;
  readonly tenant: number;
}

export const shareSizesOf = (config: { readonly BOT_MEMORY_SHARE: number; readonly TENANT_MEMORY_SHARE: number }) => ({
  bot: config.BOT_MEMORY_SHARE,
  tenant: config.TENANT_MEMORY_SHARE,
});

/**
 * The bytes of one budget by the bot and the tenant that hold them, each of which may hold its share: a budget that one
 * of them could fill alone would be nobody else's.
 */
export class MemoryShares {
  readonly #botBytes: number;
  readonly #tenantBytes: number;
  /** Those that hold something alone. */
  readonly #byBot = new Map<string, number>();
  readonly #byTenant = new Map<string, number>();

  constructor(budgetBytes: number, { bot, tenant }: ShareSizes) {
    this.#botBytes = Math.floor(budgetBytes * bot);
    this.#tenantBytes = Math.floor(budgetBytes * tenant);
  }

  /** @param bytes below zero for bytes that are given back. */
  add(holder: BotIdentity, bytes: number): void {
    change(this.#byBot, botNameOf(holder), bytes);
    change(this.#byTenant, holder.tenant, bytes);
  }

  /** @returns whose share has no room for `more` bytes; what is larger than a whole share fits in while nothing else is held. */
  exceededBy(holder: BotIdentity, more: number): Share | undefined {
    const ofBot = this.#byBot.get(botNameOf(holder)) ?? 0;
    if (ofBot > 0 && ofBot + more > this.#botBytes) return 'bot';
    const ofTenant = this.#byTenant.get(holder.tenant) ?? 0;
    return ofTenant > 0 && ofTenant + more > this.#tenantBytes ? 'tenant' : undefined;
  }

  /** @returns whose share is exceeded by what is held now. */
  exceeded(holder: BotIdentity): Share | undefined {
    return this.exceededBy(holder, 0);
  }
}

function change(held: Map<string, number>, name: string, bytes: number): void {
  const now = (held.get(name) ?? 0) + bytes;
  if (now > 0) held.set(name, now);
  else held.delete(name);
}
