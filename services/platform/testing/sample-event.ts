import type { ChatEvent, Insight } from '../../core/records.ts';

/** A valid event; give what a test is about. */
export function sampleEvent(overrides: Partial<ChatEvent> = {}): ChatEvent {
  const now = Date.now();
  return {
    message_id: 'm1',
    tenant_id: 'acme',
    bot_id: 'helper',
    conversation_id: 'c1',
    speaker: 'user',
    text: 'Where is my parcel?',
    sent_at: now,
    sent_at_original: null,
    received_at: now,
    deadline_at: now + 400,
    attempt: 1,
    resent: false,
    user_id: null,
    channel: null,
    bot_version: null,
    metadata: new Map(),
    origin: null,
    supersedes: null,
    replay_id: null,
    replay_attempt: 0,
    ...overrides,
  };
}

/** What an NLP API may say of it. */
export const sampleInsight = (): Insight => ({
  language: 'en',
  language_confidence: 1,
  sentiment_label: 'neutral',
  sentiment_score: 0,
  intent: 'inform',
  intent_confidence: 1,
  toxicity_score: 0,
  topics: [],
  model: 'api/1',
});
