import { conversationKey, partitionOf } from '../../services/core/partitioner.ts';
import type { ChatEvent } from '../../services/core/records.ts';
import type { Turn } from '../chats.ts';

export const PARTITIONS = 12;
/** After `received_at`, as the gateway's default. */
const BUDGET_MS = 400;
const TENANTS = 10;
const BOTS = 50;

export interface LoadEvent {
  readonly event: ChatEvent;
  readonly key: string;
  readonly partition: number;
}

/**
 * Endless events as the gateway would produce them, numbered `m0`, `m1`, … Each text is said once: its number stands in
 * it, so that no cache answers. `received_at` is the moment of taking.
 */
export function* loadEvents(chats: Iterator<readonly Turn[], void>): Generator<LoadEvent, void> {
  for (let conversation = 0, number = 0; ; conversation++) {
    const turns = chats.next().value;
    if (!turns) return;
    const bot = conversation % BOTS;
    const ids = { tenant_id: `tenant-${bot % TENANTS}`, bot_id: `bot-${bot}`, conversation_id: `c${conversation}` };
    const key = conversationKey(ids.tenant_id, ids.bot_id, ids.conversation_id);
    const partition = partitionOf(key, PARTITIONS);
    for (const turn of turns) yield { event: eventOf(number++, ids, turn), key, partition };
  }
}

function eventOf(
  number: number,
  ids: Pick<ChatEvent, 'tenant_id' | 'bot_id' | 'conversation_id'>,
  { speaker, text }: Turn,
): ChatEvent {
  const now = Date.now();
  return {
    message_id: `m${number}`,
    ...ids,
    speaker,
    text: `${text} (${number})`,
    sent_at: now,
    sent_at_original: null,
    received_at: now,
    deadline_at: now + BUDGET_MS,
    attempt: 1,
    resent: false,
    user_id: null,
    channel: 'web',
    bot_version: null,
    metadata: new Map(),
    origin: null,
    supersedes: null,
    replay_id: null,
    replay_attempt: 0,
  };
}
