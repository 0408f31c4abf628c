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
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What `welcome` announces; a gateway may announce more. */
export interface WelcomeLimits {
  readonly max_frame_bytes: number;
  readonly max_in_flight: number;
  readonly ping_interval_ms: number;
  readonly [name: string]: number;
}

export type ServerFrame =
  | { readonly type: 'welcome'; readonly session: string; readonly limits: WelcomeLimits }
  | { readonly type: 'ack'; readonly ids: readonly string[] }
  | NackFrame
  | { readonly type: 'error'; readonly code: NackCode; readonly message: string }
  | { readonly type: 'goaway'; readonly reconnect_after_ms: number }
  | InsightFrame;

export interface NackFrame {
  readonly type: 'nack';
  readonly id: string;
  readonly code: NackCode;
  readonly message: string;
  readonly retry_after_ms?: number;
}

/** The result of a message's analysis; fields as in the protocol. */
export interface InsightFrame {
  readonly type: 'insight';
  readonly id: string;
  readonly conversation_id: string;
  readonly outcome: string;
  readonly provisional: boolean;
  readonly revision: number;
  readonly [field: string]: unknown;
}
