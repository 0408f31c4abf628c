import type { Insight, NackFrame, ServerFrame } from './frames.ts';
import type { Transport } from './transport.ts';

interface ClientListeners {
  onAck?(id: string): void;
  /** Final and temporary ones; temporary ones are sent again without any doing of the caller's. */
  onNack?(nack: NackFrame): void;
  /** A frame of ours that the gateway could not answer by id: a fault of this library or of a proxy. */
  onError?(error: Extract<ServerFrame, { type: 'error' }>): void;
  /** A session is open again. @param resent how many messages go out once more. */
  onReconnect?(resent: number): void;
  /** Each once; for a loop see {@link ParleyClient.insights}. */
  onInsight?(insight: Insight): void;
  /** The gateway will close the session then. With a `tokenProvider` the client renews it before, by itself. */
  onTokenExpiring?(inMs: number): void;
}

export interface ClientOptions {
  /** `ws://` or `wss://`, with the path. */
  readonly url: string;
  /** Give this or `tokenProvider`. */
  readonly token?: string;
  /** Called before each connection and when the gateway warns that a token is about to expire. */
  readonly tokenProvider?: () => string | Promise<string>;
  /** Whether insights of this client's messages are to come back; see {@link ParleyClient.insights}. */
  readonly insights?: boolean;
  /** Insights that may wait for a reader; above it the oldest are dropped and counted. */
  readonly maxBufferedInsights?: number;
  /** Messages that may wait in this client, acked ones not counted. */
  readonly maxBuffered?: number;
  /** How many of these may be unacked at the gateway; its own limit holds as well. */
  readonly maxInFlight?: number;
  /** Until the first session; afterwards the client tries without end. */
  readonly connectTimeoutMs?: number;
  readonly backoff?: { readonly minMs: number; readonly maxMs: number };
  /** Where it is missing: the `ws` package on Node, the global WebSocket elsewhere. */
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
  /** Insights that came a second time after a reconnect, and were not passed on. */
  insightsRepeated: number;
  /** Insights dropped because they were not read in time. */
  insightsDropped: number;
  /** Sessions ended for another because their token was about to expire. */
  renewals: number;
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
  insightsRepeated: 0,
  insightsDropped: 0,
  renewals: 0,
  errors: 0,
  nacks: {},
});

export const DEFAULTS = {
  maxBuffered: 1_024,
  maxBufferedInsights: 1_024,
  connectTimeoutMs: 30_000,
  backoff: { minMs: 500, maxMs: 20_000 },
} as const;
