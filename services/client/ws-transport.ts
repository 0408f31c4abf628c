import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { messageOf } from '../core/errors.ts';
import { type Connection, SUBPROTOCOL, type Transport, type TransportEnd, type TransportEvents } from './transport.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_REFUSAL_CHARS = 4_096;

/** WebSockets of the `ws` package: Node. The token travels in the Authorization header. */
export const wsTransport: Transport = {
  seesPings: true,
  open(url, token, events) {
    const socket = new WebSocket(url, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    return listen(socket, events);
  },
};

function listen(socket: WebSocket, events: TransportEvents): Connection {
  let refusal: TransportEnd['refusal'];
  let problem: string | undefined;
  socket.on('message', (data: Buffer) => events.frame(data.toString('utf8')));
  socket.on('ping', () => events.alive());
  socket.on('unexpected-response', async (_, response) => {
    refusal = await readRefusal(response);
    socket.terminate();
  });
  // `close` always follows.
  socket.on('error', (error) => {
    problem ??= messageOf(error);
  });
  socket.on('close', (code) => events.closed({ code, ...(refusal ? { refusal } : problem && { problem }) }));
  return socket;
}

/** @returns the gateway's own code, or `http_<status>` where something else answered. */
async function readRefusal(response: IncomingMessage): Promise<NonNullable<TransportEnd['refusal']>> {
  const status = response.statusCode ?? 0;
  const retryAfterS = Number(response.headers['retry-after']);
  let body = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) if (body.length < MAX_REFUSAL_CHARS) body += chunk;
  } catch {
    // The status alone has to do.
  }
  return {
    status,
    code: codeOf(body) ?? `http_${status}`,
    retryAfterMs: retryAfterS > 0 ? retryAfterS * 1_000 : undefined,
  };
}

function codeOf(body: string): string | undefined {
  try {
    const { code } = JSON.parse(body) as { code?: unknown };
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}
