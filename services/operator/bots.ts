import type { BotIdentity } from '../core/bot-identity.ts';
import { murmur2 } from '../core/partitioner.ts';

/**
 * The bots of `parley token`, `parley send` and the load runs: `bots` of them dealt out over `tenants` tenants, bot-1 to
 * tenant-1, bot-2 to tenant-2, and round again.
 */
export const botIdentities = (bots: number, tenants: number): BotIdentity[] =>
  Array.from({ length: bots }, (_, index) => ({ tenant: `tenant-${(index % tenants) + 1}`, bot: `bot-${index + 1}` }));

/** Which of `bots` bots holds a conversation: always the same one, so that the conversation stays in order. */
export const botIndexOf = (conversationId: string, bots: number): number =>
  (murmur2(Buffer.from(conversationId)) >>> 0) % bots;
