import type { IncomingMessage } from 'node:http';
import { HandshakeRefusal } from './handshake-refusal.ts';

export const STREAM_PATH = '/v1/stream';
export const SUBPROTOCOL = 'parley.v1';
/** A browser can not set headers, so its token travels as a second subprotocol: never chosen, never echoed. */
const BEARER_SUBPROTOCOL_PREFIX = 'bearer.';

export interface HandshakeRequest {
  readonly path: string;
  readonly origin: string | undefined;
  readonly token: string;
  /** Whether the socket wants the insights of its messages: `?insights=true`. */
  readonly insights: boolean;
}

const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0] as string;

function wantsInsights({ url = '' }: IncomingMessage): boolean {
  const query = url.indexOf('?');
  return query >= 0 && new URLSearchParams(url.slice(query)).get('insights') === 'true';
}

function subprotocols(request: IncomingMessage): string[] {
  const header = request.headers['sec-websocket-protocol'];
  return header === undefined ? [] : header.split(',').map((item) => item.trim());
}

function bearerToken(request: IncomingMessage, offered: readonly string[]): string | undefined {
  const [scheme, token] = (request.headers.authorization ?? '').split(/ +/, 2);
  if (scheme?.toLowerCase() === 'bearer' && token) return token;
  const carrier = offered.find((item) => item.startsWith(BEARER_SUBPROTOCOL_PREFIX));
  return carrier?.slice(BEARER_SUBPROTOCOL_PREFIX.length) || undefined;
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
  const { origin } = request.headers;
  if (origin !== undefined && !allowedOrigins.includes('*') && !allowedOrigins.includes(origin)) {
    throw new HandshakeRefusal('origin_forbidden', 'this origin may not connect', origin.slice(0, 200));
  }
  const offered = subprotocols(request);
  if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
    throw new HandshakeRefusal('unsupported_subprotocol', `the subprotocol has to be ${SUBPROTOCOL}`);
  }
  const token = bearerToken(request, offered);
  if (token === undefined) {
    const forms = `Authorization: Bearer <token>, or Sec-WebSocket-Protocol: ${SUBPROTOCOL}, bearer.<token>`;
    throw new HandshakeRefusal('token_missing', `a token is required: ${forms}`);
  }
  return { path, origin, token, insights: wantsInsights(request) };
}
