import type { TopicId } from '../../core/brands.ts';
import type { ChatOutcome } from '../../core/records.ts';

const EVENTS_ID = 'testEventsTopicId00001' as TopicId;
export const REPLAY_ID = 'testReplayTopicId00001' as TopicId;

export interface OutcomeOf extends Partial<Omit<ChatOutcome, 'source' | 'origin'>> {
  readonly partition: number;
  /** Its offset in chat.events (or chat.replay, with `topicId`). */
  readonly offset: number;
  readonly topicId?: TopicId;
  /** Offset in chat.events of the message's first record; the source by default. */
  readonly originOffset?: number;
}

const LABELS = ['positive', 'neutral', 'negative'] as const;
const hash = (n: number): number => Math.imul(n + 1, 0x9e3779b1) >>> 0;

/** An enriched outcome, its values spread deterministically over bots, conversations, minutes and moods. */
export function outcomeOf({ partition, offset, topicId = EVENTS_ID, originOffset, ...rest }: OutcomeOf): ChatOutcome {
  const n = hash(offset * 64 + partition);
  const topic = topicId === REPLAY_ID ? 'chat.replay' : 'chat.events';
  const receivedAt = Date.now() - (n % 600_000);
  return {
    source: { topic_id: topicId, topic, partition, offset },
    origin: { topic_id: EVENTS_ID, topic: 'chat.events', partition, offset: originOffset ?? offset },
    last_offset: null,
    outcome: 'enriched',
    provisional: false,
    reason: null,
    revision: 0,
    supersedes: null,
    message_id: `m-${partition}-${originOffset ?? offset}`,
    tenant_id: `t${n % 3}`,
    bot_id: `b${n % 7}`,
    conversation_id: `c-${partition}-${Math.floor((originOffset ?? offset) / 10)}`,
    speaker: 'user',
    text: `a “quoted” \\ text №${offset}\n\twith 😀 and ‘quotes’`,
    sent_at: receivedAt - 20,
    sent_at_original: null,
    received_at: receivedAt,
    enriched_at: receivedAt + 50 + (n % 400),
    recheck: false,
    user_id: null,
    channel: 'web',
    bot_version: null,
    metadata: new Map([['k', 'v']]),
    nlp_ms: 40,
    attempts: 1,
    cache_hit: false,
    insight: {
      language: 'en',
      language_confidence: 0.9,
      sentiment_label: LABELS[n % 3] ?? 'neutral',
      sentiment_score: ((n % 2_001) - 1_000) / 1_000,
      intent: 'question',
      intent_confidence: 0.5,
      toxicity_score: (n % 100) / 100,
      topics: ['billing'],
      model: 'test-1',
    },
    ...rest,
  };
}
