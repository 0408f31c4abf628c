import type { IncomingMessage } from 'node:http';
import { HandshakeRefusal } from './handshake-refusal.ts';

export const STREAM_PATH = '/v1/stream';
export const SUBPROTOCOL = 'parley.v1';
/** A browser can not set headers, so its token travels as a second subprotocol: never chosen, never echoed. */
const BEARER_SUBPROTOCOL_PREFIX = 'bearer.';

export interface HandshakeRequest {
  readonly token: string;
  /** Whether the socket wants the insights of its messages: `?insights=true` or `?insights=1`. */
  readonly insights: boolean;
  /** Earlier sessions whose insights it takes over: `?resume=<id>,<id>`, newest first; undefined where it does not say. */
  readonly resumes: readonly string[] | undefined;
}

/** A request's path without its query, and without a slash at its end. */
export const pathOf = (request: IncomingMessage): string =>
  ((request.url ?? '/').split('?', 1)[0] as string).replace(/(?<=.)\/$/, '');

/** As many reconnects as may lie between a message and its insight. */
const MAX_RESUMED = 8;
/** Longer names are no session's. */
const MAX_SESSION_CHARS = 64;

function readQuery({ url = '' }: IncomingMessage): Pick<HandshakeRequest, 'insights' | 'resumes'> {
  const at = url.indexOf('?');
  if (at < 0) return { insights: false, resumes: undefined };
  const query = new URLSearchParams(url.slice(at));
  const named = query.get('resume')?.split(',', MAX_RESUMED);
  const usable = named?.filter((id) => id.length > 0 && id.length <= MAX_SESSION_CHARS);
  return {
    insights: /^(true|1)$/.test(query.get('insights') ?? ''),
    // Copies: a part of a string would hold the whole URL, up to 16 KB, for as long as the session lasts.
    resumes: usable?.map((id) => Buffer.from(id).toString()),
  };
}

function subprotocols(request: IncomingMessage): string[] {
  const header = request.headers['sec-websocket-protocol'];
  return header === undefined ? [] : header.split(',').map((item) => item.trim());
}

/** The token of the header `Authorization: Bearer`. */
export function headerToken(request: IncomingMessage): string | undefined {
  const [scheme, token] = (request.headers.authorization ?? '').split(/ +/, 2);
  return scheme?.toLowerCase() === 'bearer' && token ? token : undefined;
}

function subprotocolToken(offered: readonly string[]): string | undefined {
  const carrier = offered.find((item) => item.startsWith(BEARER_SUBPROTOCOL_PREFIX));
  return carrier?.slice(BEARER_SUBPROTOCOL_PREFIX.length) || undefined;
}

/** Whether the token stands among the subprotocols, as browsers have to give it. */
export const offersBearerSubprotocol = (request: IncomingMessage): boolean =>
  subprotocolToken(subprotocols(request)) !== undefined;

/** @throws {HandshakeRefusal} */
function checkOrigin({ origin }: IncomingMessage['headers'], allowed: readonly string[]): void {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return;
  throw new HandshakeRefusal('origin_forbidden', 'this origin may not connect', origin.slice(0, 200));
}

/**
 * Reads from a handshake's head what it asks for.
 *
 * @throws {HandshakeRefusal}
 */
export function readHandshake(request: IncomingMessage, allowedOrigins: readonly string[]): HandshakeRequest {
  const path = pathOf(request);
  if (path !== STREAM_PATH)
    throw new HandshakeRefusal('not_found', `there is no ${path} here; allowed is ${STREAM_PATH}`);
  const fromHeader = headerToken(request);
  // A page cannot set the header, so with it Origin says nothing: libraries that are no browser send one of their own.
  if (fromHeader === undefined) checkOrigin(request.headers, allowedOrigins);
  const offered = subprotocols(request);
  if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
    throw new HandshakeRefusal('unsupported_subprotocol', `the subprotocol has to be ${SUBPROTOCOL}`);
  }
  const token = fromHeader ?? subprotocolToken(offered);
  if (token === undefined) {
    const forms = `Authorization: Bearer <token>, or Sec-WebSocket-Protocol: ${SUBPROTOCOL}, bearer.<token>`;
    throw new HandshakeRefusal('token_missing', `a token is required: ${forms}`);
  }
  return { token, ...readQuery(request) };
}
