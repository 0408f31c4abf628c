import { epochMs, type TopicId } from '../../services/core/brands.ts';
import type { ChatOutcome } from '../../services/core/records.ts';

/** The topic that the outcomes say they come from; nothing reads it. */
const EVENTS_ID = 'storeBenchEventsTopic1' as TopicId;
/** Source partitions, whatever partitions chat.enriched has. */
export const SOURCES = 12;
const WORDS = 'order delivery invoice please where refund my account thank you broken cannot login agent help'.split(
  ' ',
);
const LABELS = ['positive', 'neutral', 'negative'] as const;

const mix = (n: number): number => Math.imul(n + 1, 0x9e3779b1) >>> 0;

/** Outcome number `n` of a run: 50 bots of five tenants, conversations of ten messages, texts of about 90 characters. */
export function outcomeNumber(n: number, now: number): ChatOutcome {
  const partition = n % SOURCES;
  const offset = Math.floor(n / SOURCES);
  const hash = mix(n);
  const text = Array.from({ length: 15 }, (_, word) => WORDS[mix(n * 16 + word) % WORDS.length]).join(' ');
  const at = { topic_id: EVENTS_ID, topic: 'chat.events', partition, offset };
  return {
    source: at,
    origin: at,
    last_offset: null,
    outcome: 'enriched',
    provisional: false,
    reason: null,
    revision: 0,
    supersedes: null,
    message_id: `m-${n}`,
    tenant_id: `t${hash % 5}`,
    bot_id: `b${hash % 50}`,
    conversation_id: `c-${partition}-${Math.floor(offset / 10)}`,
    speaker: 'user',
    text: `${text} ${n}`,
    sent_at: epochMs(now - 250),
    sent_at_original: null,
    received_at: epochMs(now - 220),
    enriched_at: epochMs(now),
    recheck: false,
    user_id: `u${hash % 1_000}`,
    channel: 'web',
    bot_version: '1.4.2',
    metadata: new Map([['page', `p${hash % 20}`]]),
    nlp_ms: 180,
    attempts: 1,
    cache_hit: false,
    insight: {
      language: 'en',
      language_confidence: 0.97,
      sentiment_label: LABELS[hash % 3] ?? 'neutral',
      sentiment_score: ((hash % 2_001) - 1_000) / 1_000,
      intent: 'order_status',
      intent_confidence: 0.8,
      toxicity_score: (hash % 100) / 200,
      topics: ['delivery'],
      model: 'bench-1',
    },
  };
}
