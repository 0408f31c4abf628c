import type { TopicId } from './brands.ts';

/** The Avro records as they travel; fields and their meaning are in `schemas/chat-event.avsc` and `chat-outcome.avsc`. */

/** The place of a record in Kafka. */
export interface Coordinates {
  readonly topic_id: TopicId;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** What an event and the outcome made of it have in common. Times are milliseconds since the epoch. */
interface MessageFields {
  readonly message_id: string;
  readonly tenant_id: string;
  readonly bot_id: string;
  readonly conversation_id: string;
  readonly speaker: string;
  readonly text: string;
  readonly sent_at: number;
  readonly sent_at_original: number | null;
  readonly received_at: number;
  readonly user_id: string | null;
  readonly channel: string | null;
  readonly bot_version: string | null;
  /** A Map, since a key `__proto__` would change a plain object's prototype. */
  readonly metadata: ReadonlyMap<string, string>;
}

export interface ChatEvent extends MessageFields {
  readonly deadline_at: number;
  readonly attempt: number;
  readonly resent: boolean;
  readonly origin: Coordinates | null;
  readonly supersedes: number | null;
  readonly replay_id: string | null;
  readonly replay_attempt: number;
}

export interface Insight {
  readonly language: string;
  readonly language_confidence: number;
  readonly sentiment_label: string;
  readonly sentiment_score: number;
  readonly intent: string;
  readonly intent_confidence: number;
  readonly toxicity_score: number;
  readonly topics: readonly string[];
  readonly model: string;
}

export interface ChatOutcome extends MessageFields {
  readonly source: Coordinates;
  readonly last_offset: number | null;
  readonly origin: Coordinates;
  /** One of OUTCOMES; a plain string because an older reader may meet a newer value. */
  readonly outcome: string;
  readonly provisional: boolean;
  readonly reason: string | null;
  readonly revision: number;
  readonly supersedes: number | null;
  readonly enriched_at: number;
  readonly recheck: boolean;
  readonly nlp_ms: number;
  readonly attempts: number;
  readonly cache_hit: boolean;
  readonly insight: Insight | null;
}
