import type { BotIdentity } from '../../core/bot-identity.ts';
import type { EpochMs } from '../../core/brands.ts';
import type { ChatEvent } from '../../core/records.ts';
import type { ValidMessage } from './valid-message.ts';

/** The window around `received_at` outside which a bot's clock is not believed, in milliseconds. */
export interface SentAtWindow {
  readonly backMs: number;
  readonly aheadMs: number;
}

/**
 * A bot with a wrong clock must not scatter the tables: `sent_at` is moved to the nearest edge of the window, and the
 * bot's own value is kept beside it.
 */
export function clampSentAt(
  sentAt: number,
  receivedAt: EpochMs,
  { backMs, aheadMs }: SentAtWindow,
): { sentAt: number; original: number | null } {
  const clamped = Math.min(Math.max(sentAt, receivedAt - backMs), receivedAt + aheadMs);
  return { sentAt: clamped, original: clamped === sentAt ? null : sentAt };
}

/** Tenant and bot of a message, by the token alone. */
export interface Sender extends BotIdentity {
  /** It brings history, whose times are kept however old they are; none may lie ahead of the window. */
  readonly importer?: boolean;
}

export interface EventContext {
  readonly sender: Sender;
  readonly receivedAt: EpochMs;
  readonly sentAtWindow: SentAtWindow;
  readonly latencyBudgetMs: number;
  readonly resent: boolean;
}

/** The record of `chat.events` for a valid message: tenant and bot come from the token alone. */
export function toChatEvent(message: ValidMessage, context: EventContext): ChatEvent {
  const { sender, receivedAt, latencyBudgetMs, resent } = context;
  const { aheadMs } = context.sentAtWindow;
  const window = sender.importer ? { backMs: Number.POSITIVE_INFINITY, aheadMs } : context.sentAtWindow;
  const { sentAt, original } = clampSentAt(message.sentAt, receivedAt, window);
  return {
    message_id: message.id,
    tenant_id: sender.tenant,
    bot_id: sender.bot,
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
