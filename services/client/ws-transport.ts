import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { textOf } from './errors.ts';
import { type Connection, SUBPROTOCOL, type Transport, type TransportEnd, type TransportEvents } from './transport.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_REFUSAL_CHARS = 4_096;
/** An ack of 256 messages with the longest ids takes some 270 KB; what is larger is no frame of Parley's. */
const MAX_FRAME_BYTES = 1 << 20;

/** WebSockets of the `ws` package: Node. The token travels in the Authorization header. */
export const wsTransport: Transport = {
  seesPings: true,
  open(url, token, events) {
    const socket = new WebSocket(url, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_BYTES,
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
  socket.on('unexpected-response', (_, response) => {
    const read = (answer: TransportEnd['refusal']) => {
      refusal = answer;
      socket.terminate();
    };
    // Where the answer cannot be read the connection has ended by itself.
    readRefusal(response).then(read, () => {});
  });
  // `close` always follows.
  socket.on('error', (error) => {
    problem ??= textOf(error);
  });
  socket.on('close', (code, reason) =>
    events.closed({
      code,
      ...(reason.length > 0 && { reason: reason.toString('utf8') }),
      ...(refusal ? { refusal } : problem && { problem }),
    }),
  );
  return socket;
}

/** @returns the gateway's own code, or `http_<status>` where something else answered. */
async function readRefusal(response: IncomingMessage): Promise<NonNullable<TransportEnd['refusal']>> {
  const status = response.statusCode ?? 0;
  let body = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      body += chunk;
      if (body.length > MAX_REFUSAL_CHARS) break;
    }
  } catch {
    // The status alone has to do.
  }
  return {
    status,
    code: codeOf(body) ?? `http_${status}`,
    retryAfterMs: retryAfterOf(response.headers['retry-after']),
  };
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfterOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return ms > 0 ? ms : undefined;
}

function codeOf(body: string): string | undefined {
  try {
    const { code } = JSON.parse(body) as { code?: unknown };
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}
