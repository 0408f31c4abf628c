import type { BotIdentity } from '../../core/bot-identity.ts';
import type { EpochMs } from '../../core/brands.ts';
import type { ChatEvent } from '../../core/records.ts';
import type { ValidMessage } from './valid-message.ts';

/** The window around `received_at` outside which a bot's clock is not believed. */
export const SENT_AT_WINDOW = { backMs: 86_400_000, aheadMs: 300_000 } as const;

/**
 * A bot with a wrong clock must not scatter the tables: `sent_at` is moved to the nearest edge of the window, and what
 * the bot sent is kept beside it.
 */
export function clampSentAt(sentAt: number, receivedAt: EpochMs): { sentAt: number; original: number | null } {
  const clamped = Math.min(Math.max(sentAt, receivedAt - SENT_AT_WINDOW.backMs), receivedAt + SENT_AT_WINDOW.aheadMs);
  return { sentAt: clamped, original: clamped === sentAt ? null : sentAt };
}

export interface EventContext {
  readonly identity: BotIdentity;
  readonly receivedAt: EpochMs;
  readonly latencyBudgetMs: number;
  readonly resent: boolean;
}

/** The record of `chat.events` for a valid message: tenant and bot come from the token alone. */
export function toChatEvent(message: ValidMessage, context: EventContext): ChatEvent {
  const { identity, receivedAt, latencyBudgetMs, resent } = context;
  const { sentAt, original } = clampSentAt(message.sentAt, receivedAt);
  return {
    message_id: message.id,
    tenant_id: identity.tenant,
    bot_id: identity.bot,
    conversation_id: message.conversationId,
    speaker: message.speaker,
    text: message.text,
    sent_at: sentAt,
    sent_at_original: original,
    received_at: receivedAt,
    deadline_at: receivedAt + latencyBudgetMs,
    attempt: message.attempt,
    resent,
    user_id: message.userId,
    channel: message.channel,
    bot_version: message.botVersion,
    metadata: message.metadata,
    origin: null,
    supersedes: null,
    replay_id: null,
    replay_attempt: 0,
  };
}
