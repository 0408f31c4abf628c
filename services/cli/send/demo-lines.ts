import { murmur2 } from '../../core/partitioner.ts';
import type { ChatLine } from '../../operator/chat-line.ts';
import { demoConversations } from '../../operator/demo/conversations.ts';

/** Endless messages of the demo generator. The run's id decides them, so that another run's chats are new ones. */
export function* demoLines(runId: string): Generator<ChatLine, never> {
  for (const { conversation_id, messages } of demoConversations(murmur2(Buffer.from(runId)) >>> 0)) {
    for (const [turn, { speaker, text }] of messages.entries()) {
      yield { id: `${conversation_id}-${turn}`, conversation_id, speaker, text, sent_at: null, channel: 'web' };
    }
  }
  throw new Error('the demo generator ended');
}
