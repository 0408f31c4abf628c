import type { InsightFrame, NackFrame, ServerFrame } from './frames.ts';
import type { Transport } from './transport.ts';

interface ClientListeners {
  onAck?(id: string): void;
  /** Final and temporary ones; temporary ones are sent again without any doing of the caller's. */
  onNack?(nack: NackFrame): void;
  /** A frame of ours that the gateway could not answer by id: a fault of this library or of a proxy. */
  onError?(error: Extract<ServerFrame, { type: 'error' }>): void;
  /** A session is open again. @param resent how many messages go out once more. */
  onReconnect?(resent: number): void;
  onInsight?(insight: InsightFrame): void;
}

export interface ClientOptions {
  /** `ws://` or `wss://`, with the path. */
  readonly url: string;
  /** Give this or `tokenProvider`. */
  readonly token?: string;
  /** Called before each connection, so that a session can outlive a token. */
  readonly tokenProvider?: () => string | Promise<string>;
  /** Messages that may wait in this client, acked ones not counted. */
  readonly maxBuffered?: number;
  /** Of these, how many may be unacked at the gateway; its own limit holds as well. */
  readonly maxInFlight?: number;
  /** Until the first session; afterwards the client tries without end. */
  readonly connectTimeoutMs?: number;
  readonly backoff?: { readonly minMs: number; readonly maxMs: number };
  /** The `ws` package where it is missing. */
  readonly transport?: Transport;
  readonly listeners?: ClientListeners;
  /** From 0 to below 1; for tests. */
  readonly random?: () => number;
}

/** Running totals of one client. */
export interface Counters {
  /** Frames written, repeats included. */
  sent: number;
  acked: number;
  /** Messages that ended with a final nack. */
  refused: number;
  /** Temporary nacks. */
  postponed: number;
  /** Messages that were sent again because their connection was lost. */
  resent: number;
  reconnects: number;
  insights: number;
  errors: number;
  /** All nacks by code. */
  readonly nacks: Record<string, number>;
}

export const newCounters = (): Counters => ({
  sent: 0,
  acked: 0,
  refused: 0,
  postponed: 0,
  resent: 0,
  reconnects: 0,
  insights: 0,
  errors: 0,
  nacks: {},
});

export const DEFAULTS = {
  maxBuffered: 1_024,
  connectTimeoutMs: 30_000,
  backoff: { minMs: 500, maxMs: 20_000 },
} as const;
