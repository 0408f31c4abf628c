import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { CLOSE_CODES, type HandshakeCode } from '../../core/wire-codes.ts';
import { offersBearerSubprotocol } from './handshake.ts';
import { type HandshakeRefusal, refusalBody, refusalHeaders } from './handshake-refusal.ts';

/** How long a refused peer may take to read its answer and close: then the socket is destroyed. */
const LINGER_MS = 1_000;

/** Refusals that would meet the next try as well: a browser's client must stop, not come back. */
const FINAL_CLOSE_CODES: Partial<Record<HandshakeCode, number>> = {
  token_expired: CLOSE_CODES.token_expired,
  token_revoked: CLOSE_CODES.token_expired,
  token_invalid: CLOSE_CODES.token_invalid,
  role_missing: CLOSE_CODES.forbidden,
  access_denied: CLOSE_CODES.forbidden,
  origin_forbidden: CLOSE_CODES.forbidden,
};

/** The close code of a refused handshake, for those who cannot see its HTTP status. */
export const closeCodeOf = (code: HandshakeCode): number => FINAL_CLOSE_CODES[code] ?? CLOSE_CODES.overloaded;

/**
 * Answers a handshake that is refused. A browser hides the status of a failed handshake from its page, so whoever brought
 * the token as a subprotocol gets a WebSocket that says `error` with the same code and is closed with a code of its own.
 */
export function answerRefusal(
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  refusal: HandshakeRefusal,
  { sockets, random }: { sockets: WebSocketServer; random: () => number },
): void {
  if (socket.destroyed) return;
  const { code, message } = refusal;
  if (offersBearerSubprotocol(request) && code !== 'not_found' && request.headers.upgrade !== undefined) {
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => {});
      webSocket.send(JSON.stringify({ type: 'error', code, message, ...retryAfter(refusal, random) }));
      webSocket.close(closeCodeOf(code), code);
    });
    return;
  }
  const body = refusalBody(refusal);
  const headers = {
    ...refusalHeaders(refusal, random),
    connection: 'close',
    'content-length': Buffer.byteLength(body),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  // Bytes that the peer sent meanwhile are read and dropped: unread ones would turn our end into a reset, which can
  // overtake the answer.
  socket.resume();
  socket.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function retryAfter(refusal: HandshakeRefusal, random: () => number): { retry_after_ms?: number } {
  const seconds = refusalHeaders(refusal, random)['retry-after'];
  return seconds === undefined ? {} : { retry_after_ms: Number(seconds) * 1_000 };
}
