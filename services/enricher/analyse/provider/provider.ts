import type { Insight } from '../../../core/records.ts';
import type { Span } from '../../../platform/tracing/tracer.ts';
import type { Receiver } from '../callbacks.ts';
import type { Cancellation } from '../cancellation.ts';
import type { NlpError } from '../nlp-errors.ts';
import type { BearerToken } from './bearer-token.ts';
import type { ProxyOptions, TlsOptions } from './http-connection.ts';

export interface NlpDocument {
  /** Two documents of a request may have the same id, since bots choose their own. */
  readonly id: string;
  readonly text: string;
  /** Undefined for a message that is not traced. */
  readonly span?: Span | undefined;
}

export type DocumentResult =
  | { readonly ok: true; readonly insight: Insight }
  | { readonly ok: false; readonly error: NlpError };

export interface Connection {
  /** Its path comes before each request's, its query after it, `user:password@` is basic auth. */
  readonly url: string;
  /** About what is to be in flight. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** Sent with every request, whatever the provider. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: BearerToken | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly proxy?: ProxyOptions | undefined;
}

/** What an NLP API takes, as its documentation says. */
export interface ProviderLimits {
  /** Documents of one request; 1: there are no batches. */
  readonly maxDocuments: number;
  /** Bytes of one request's body. */
  readonly maxRequestBytes: number;
  /** Bytes around the texts: of the request itself, and of each document. */
  readonly requestOverheadBytes: number;
  readonly documentOverheadBytes: number;
  /** UTF-16 units of one text. */
  readonly maxTextChars: number;
  /** UTF-8 bytes of one text; undefined: only characters are counted. */
  readonly maxTextBytes?: number;
  /** What becomes of a longer one: refused without a call, or cut. */
  readonly overlongText: 'reject' | 'truncate';
  /** Requests a second; undefined: as many as it answers. */
  readonly requestsPerS?: number;
}

/** An NLP API: how it is asked, and how its answers are read. One class an interface; all else is common to them. */
export interface NlpProvider {
  readonly name: string;
  readonly limits: ProviderLimits;
  /**
   * One request.
   *
   * @param receiver gets one result a document, in the order of the documents whatever the order of the answer; or an
   * {@link NlpError} when the request failed as a whole, whose `failure` says what is to be done.
   * @param headers sent besides the provider's own.
   */
  analyze(
    documents: readonly NlpDocument[],
    receiver: Receiver<readonly DocumentResult[]>,
    cancellation?: Cancellation,
    headers?: RequestHeaders,
  ): void;
  close(): Promise<void>;
}

export type RequestHeaders = Readonly<Record<string, string>>;

/** A provider that can say which way a request of so many documents takes: a path without query, the same for all. */
export interface RoutedProvider extends NlpProvider {
  route(documents: number): string;
}
