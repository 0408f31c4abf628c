import { MAX_TIMER_MS } from './bounds.ts';
import { ParleyClientError } from './errors.ts';
import type { ClientListeners } from './listeners.ts';
import { cleanToken, type TokenProvider } from './token-source.ts';
import type { Transport } from './transport.ts';

export interface ClientOptions {
  /** `ws://` or `wss://`, with the path; `http://` and `https://` stand for these. */
  readonly url: string;
  /** Give this or `tokenProvider`. */
  readonly token?: string;
  /** Called before each connection, with 30 s to answer, and when the gateway warns that a token is about to expire. */
  readonly tokenProvider?: TokenProvider;
  /** Whether insights of this client's messages are to come back; see {@link ParleyClient.insights}. */
  readonly insights?: boolean;
  /** Insights that may wait for a reader; above it the oldest are dropped and counted. */
  readonly maxBufferedInsights?: number;
  /** Messages that may wait in this client, acked ones not counted; 16 Mi characters are the other bound. */
  readonly maxBuffered?: number;
  /** How many of these may be unacked at the gateway; its own limit holds as well. */
  readonly maxInFlight?: number;
  /** Until the first session; afterwards the client tries without end. */
  readonly connectTimeoutMs?: number;
  /** A connection whose messages have waited so long, without an answer to any of them, is given up for another. */
  readonly answerTimeoutMs?: number;
  readonly backoff?: { readonly minMs: number; readonly maxMs: number };
  /** Where it is missing: the `ws` package on Node, the global WebSocket elsewhere. */
  readonly transport?: Transport;
  /** Told as things happen; whatever they throw is told to `onProblem` and stops nothing. */
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
  /** Acks that say that another content was stored first under the id. */
  differing: number;
  /** What listeners threw. */
  listenerFailures: number;
  /** All nacks by code; those that this version does not know together as `other`. */
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
  differing: 0,
  listenerFailures: 0,
  nacks: {},
});

export const DEFAULTS = {
  maxBuffered: 1_024,
  maxBufferedInsights: 1_024,
  connectTimeoutMs: 30_000,
  answerTimeoutMs: 120_000,
  backoff: { minMs: 500, maxMs: 20_000 },
} as const;

const invalid = (what: string): ParleyClientError => new ParleyClientError('invalid_option', what);

/**
 * @returns the URL of the stream for a client that had these sessions before, the newest first.
 * @throws {ParleyClientError} `invalid_option`
 */
export function streamUrlOf({ url, insights }: ClientOptions): (earlier: readonly string[]) => string {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // As refused as one with another scheme.
  }
  const scheme = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }[parsed?.protocol ?? ''];
  if (!parsed || scheme === undefined) {
    throw invalid(`url is ${JSON.stringify(url)}; allowed is ws://HOST[:PORT]/v1/stream, or wss:// with TLS`);
  }
  parsed.protocol = scheme;
  parsed.hash = '';
  const { href } = parsed;
  if (!insights) return () => href;
  return (earlier) => {
    const asking = new URL(href);
    asking.searchParams.set('insights', 'true');
    if (earlier.length > 0) asking.searchParams.set('resume', earlier.join(','));
    return asking.href;
  };
}

/** @throws {ParleyClientError} `invalid_option` */
export function checkOptions(options: ClientOptions): void {
  const { token, tokenProvider, backoff } = options;
  if ((token === undefined) === (tokenProvider === undefined)) {
    throw invalid('give exactly one of token and tokenProvider');
  }
  if (tokenProvider !== undefined && typeof tokenProvider !== 'function') throw invalid('tokenProvider is no function');
  for (const name of ['maxBuffered', 'maxBufferedInsights', 'maxInFlight'] as const) {
    const value = options[name];
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) continue;
    throw invalid(`${name} is ${String(value)}; allowed is an integer from 1`);
  }
  const delays = {
    connectTimeoutMs: options.connectTimeoutMs,
    answerTimeoutMs: options.answerTimeoutMs,
    'backoff.minMs': backoff?.minMs,
    'backoff.maxMs': backoff?.maxMs,
  };
  for (const [name, value] of Object.entries(delays)) {
    if (value === undefined || (value >= 0 && value <= MAX_TIMER_MS)) continue;
    throw invalid(`${name} is ${String(value)}; allowed are 0 to ${MAX_TIMER_MS}`);
  }
}

/** @throws {ParleyClientError} `invalid_option` where it can be seen at once that a token is none. */
export function tokenOf({ token, tokenProvider }: ClientOptions): TokenProvider {
  if (tokenProvider) return tokenProvider;
  try {
    const cleaned = cleanToken(token);
    return () => cleaned;
  } catch (error) {
    throw invalid((error as ParleyClientError).message);
  }
}
