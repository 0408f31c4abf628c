import type { TopicId } from '../../services/core/brands.ts';
import type { ChatOutcome } from '../../services/core/records.ts';

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;

/** Session ids as gateways make them, 64 of them, spread over their first character. */
export const sessionOf = (n: number): string =>
  `${(n % 16).toString(16)}${String(n % 64).padStart(7, '0')}-6c1b-4a53-9d43-0b8f3f5c2a11`;

/** An outcome of the usual size: about 500 bytes in Avro. */
export function sampleOutcome(n: number): ChatOutcome {
  const source = { topic_id: TOPIC_ID, topic: 'chat.events', partition: n % 12, offset: Math.floor(n / 12) };
  const now = Date.now();
  return {
    source,
    origin: source,
    last_offset: null,
    outcome: 'enriched',
    provisional: false,
    reason: null,
    revision: 0,
    supersedes: null,
    message_id: `0199f2c4-6c1b-${n}`,
    tenant_id: `tenant-${n % 100}`,
    bot_id: `bot-${n % 5_000}`,
    conversation_id: `conversation-${n % 20_000}`,
    speaker: 'user',
    text: 'Where is my parcel? It was to arrive last Tuesday, and nobody answers the telephone.',
    sent_at: now,
    sent_at_original: null,
    received_at: now,
    enriched_at: now,
    recheck: false,
    user_id: 'user-4711',
    channel: 'web',
    bot_version: '3.2',
    metadata: new Map([['shop', 'Hamburg']]),
    nlp_ms: 204,
    attempts: 1,
    cache_hit: false,
    insight: {
      language: 'en',
      language_confidence: 0.99,
      sentiment_label: 'negative',
      sentiment_score: -0.41,
      intent: 'order_status',
      intent_confidence: 0.81,
      toxicity_score: 0.02,
      topics: ['shipping', 'complaint'],
      model: 'parley-reference-1',
    },
  };
}
