import { conversationKey, partitionOf } from '../../services/core/partitioner.ts';
import type { ChatEvent } from '../../services/core/records.ts';
import { Chats, type Turn } from '../kit/chats.ts';

export const PARTITIONS = 12;
/** After `received_at`, as the gateway's default. */
const BUDGET_MS = 400;
const TENANTS = 10;
/** Which one is loud where one is. */
export const NOISY_TENANT = 'tenant-0';
const BOTS = 100;

export interface LoadEvent {
  readonly event: ChatEvent;
  readonly key: string;
  readonly partition: number;
}

/**
 * Endless events as the gateway would produce them, numbered `m0`, `m1`, … of bots that each have a conversation going.
 * Each text is said once: its number stands in it, so that no cache answers. `received_at` is the moment of taking.
 *
 * @param noisy how many messages the first tenant sends for each one of all others together; 0: all send alike.
 */
export function* loadEvents(
  source: Iterator<readonly Turn[], void>,
  noisy = 0,
  partitions = PARTITIONS,
): Generator<LoadEvent, void> {
  const chats = new Chats(source, 'c');
  for (let number = 0; ; number++) {
    const bot = botOf(number, noisy);
    const { conversation_id, ...turn } = chats.next(bot);
    const ids = { tenant_id: `tenant-${bot % TENANTS}`, bot_id: `bot-${bot}`, conversation_id };
    const key = conversationKey(ids.tenant_id, ids.bot_id, ids.conversation_id);
    yield { event: eventOf(number, ids, turn), key, partition: partitionOf(key, partitions) };
  }
}

/** Bots in turns; with a noisy tenant its bots in turns, and one of the others every now and then. */
function botOf(number: number, noisy: number): number {
  if (noisy === 0) return number % BOTS;
  const round = Math.floor(number / (noisy + 1));
  if (number % (noisy + 1) < noisy) return ((number - round) % (BOTS / TENANTS)) * TENANTS;
  // Nine of ten bots, those of the first tenant left out.
  const quiet = round % (BOTS - BOTS / TENANTS);
  return quiet + Math.floor(quiet / (TENANTS - 1)) + 1;
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
    text: `${text} (message ${number} of a load run)`,
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
