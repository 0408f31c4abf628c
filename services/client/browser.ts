/** What `@parley/client` offers in a browser: the same, but for the transport that needs Node. */
export type { FinalNackCode, NackCode, Speaker } from '../core/wire-codes.ts';
export { type ClientErrorCode, ParleyClientError, type ProblemCode } from './errors.ts';
export type { ErrorFrame, Insight, NackFrame, OutgoingMessage, WelcomeLimits } from './frames.ts';
export { globalTransport } from './global-transport.ts';
export type { InsightStream } from './insight-stream.ts';
export type { AckedMessage, ClientListeners } from './listeners.ts';
export type { ClientOptions, Counters } from './options.ts';
export { ParleyClient } from './parley-client.ts';
export type { TokenProvider } from './token-source.ts';
export type { Connection, Transport, TransportEnd, TransportEvents } from './transport.ts';
