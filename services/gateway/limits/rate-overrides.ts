import { z } from 'zod';
import type { BotIdentity } from '../../core/bot-identity.ts';
import type { Rate } from './budget.ts';
import { botNameOf } from './connection-places.ts';

/** About 10 MB of memory a process. */
const MAX_ENTRIES = 100_000;
/** A burst that is not given: as the defaults have it, 200 a second and 400 at once. */
const BURST_S = 2;

const name = z.string().min(1).max(256);
const rate = z.int().min(1).max(10_000_000);
const ENTRIES = z.strictObject({
  tenants: z
    .array(
      z.strictObject({
        tenant: name,
        messages_per_s: rate.optional(),
        bot_messages_per_s: rate.optional(),
        bot_burst: rate.optional(),
      }),
    )
    .default([]),
  bots: z.array(z.strictObject({ tenant: name, bot: name, messages_per_s: rate, burst: rate.optional() })).default([]),
});

/** Rates of tenants and bots that differ from those of all. */
export class RateOverrides {
  static readonly none = new RateOverrides('{}');
  readonly size: number;
  readonly #tenants = new Map<string, Rate>();
  readonly #botsOfTenants = new Map<string, Rate>();
  readonly #bots = new Map<string, Rate>();

  /**
   * @param text `{"tenants":[{"tenant","messages_per_s"?,"bot_messages_per_s"?,"bot_burst"?}],"bots":[{"tenant","bot","messages_per_s","burst"?}]}`
   * @throws {Error} that names what is wrong
   */
  constructor(text: string) {
    const parsed = ENTRIES.safeParse(JSON.parse(text));
    if (!parsed.success) {
      const [{ path, message } = { path: [], message: 'unknown' }] = parsed.error.issues;
      throw new Error(`at ${path.join('.') || 'its root'}: ${message}; allowed are lists "tenants" and "bots"`);
    }
    const { tenants, bots } = parsed.data;
    this.size = tenants.length + bots.length;
    if (this.size > MAX_ENTRIES) throw new Error(`it has ${this.size} entries; allowed are ${MAX_ENTRIES}`);
    for (const { tenant, messages_per_s, bot_messages_per_s: ofBots, bot_burst } of tenants) {
      if (messages_per_s !== undefined) this.#tenants.set(tenant, { perSecond: messages_per_s, burst: messages_per_s });
      if (ofBots !== undefined) this.#botsOfTenants.set(tenant, rateOf(ofBots, bot_burst));
      else if (bot_burst !== undefined) throw new Error(`${tenant} has bot_burst without bot_messages_per_s`);
    }
    for (const { messages_per_s, burst, ...bot } of bots) this.#bots.set(botNameOf(bot), rateOf(messages_per_s, burst));
  }

  ofTenant(tenant: string): Rate | undefined {
    return this.#tenants.get(tenant);
  }

  ofBot(bot: BotIdentity): Rate | undefined {
    return this.#bots.get(botNameOf(bot)) ?? this.#botsOfTenants.get(bot.tenant);
  }
}

const rateOf = (perSecond: number, burst = perSecond * BURST_S): Rate => ({ perSecond, burst });
