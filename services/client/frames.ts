import type { NackCode, Speaker } from '../core/wire-codes.ts';

/** A message as the caller gives it. */
export interface OutgoingMessage {
  /** Unique within the conversation; made up where it is missing. The same id again is the same message. */
  readonly id?: string;
  readonly conversation_id: string;
  readonly speaker: Speaker;
  readonly text: string;
  /** Milliseconds since the epoch; the present time where it is missing. */
  readonly sent_at?: number;
  readonly user_id?: string;
  readonly channel?: string;
  readonly bot_version?: string;
  readonly metadata?: Readonly<Record<string, string | number | boolean | null>>;
  /** 1 unless given. Who sends a saved queue again gives 2 or more: the message is then looked up, and counts once. */
  readonly attempt?: number;
}

/** What `welcome` announces; a gateway may announce more. */
export interface WelcomeLimits {
  readonly max_frame_bytes: number;
  readonly max_in_flight: number;
  readonly ping_interval_ms: number;
  readonly [name: string]: number;
}

export interface NackFrame {
  readonly type: 'nack';
  readonly id: string;
  /** Missing where the gateway could not read it. */
  readonly conversation_id?: string;
  readonly code: NackCode;
  readonly message: string;
  readonly retry_after_ms?: number;
}

export interface AckFrame {
  readonly type: 'ack';
  readonly ids: readonly string[];
  /** Parallel to `ids`. */
  readonly conversation_ids?: readonly string[];
  /** Those of `ids` under which another content was stored first. */
  readonly differs?: readonly string[];
}

/** A frame of the client's that the gateway could not answer by id; before `welcome`, why there is no session. */
export interface ErrorFrame {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms?: number;
}

export type ServerFrame =
  | { readonly type: 'welcome'; readonly session: string; readonly limits: WelcomeLimits }
  | AckFrame
  | NackFrame
  | ErrorFrame
  | { readonly type: 'goaway'; readonly reconnect_after_ms: number }
  | { readonly type: 'token_expiring'; readonly expires_in_ms: number }
  | { readonly type: 'unknown' }
  | ({ readonly type: 'insight' } & Insight);

/** What became of a message. The analysis is there where the outcome is `enriched` or `degraded`. */
export interface Insight {
  /** The message's. */
  readonly id: string;
  readonly conversation_id: string;
  readonly outcome: 'enriched' | 'degraded' | 'dead_lettered';
  /** An early answer of a simpler model, within the latency budget; the final one follows. */
  readonly provisional: boolean;
  /** 0, and one more each time the message is analysed again. */
  readonly revision: number;
  /** Why it is degraded or dead-lettered. */
  readonly reason?: string;
  readonly sentiment?: { readonly label: 'positive' | 'neutral' | 'negative'; readonly score: number };
  readonly intent?: { readonly name: string; readonly confidence: number };
  /** ISO 639-1, or `und`. */
  readonly language?: { readonly code: string; readonly confidence: number };
  readonly toxicity?: { readonly score: number };
  readonly topics?: readonly string[];
  readonly model?: string;
}
