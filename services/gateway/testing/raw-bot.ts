import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { eventually } from '../../core/testing/eventually.ts';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A bare WebSocket that sends anything and keeps every frame that comes. */
export class RawBot {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data)) as Frame));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  /** Resolves with the welcome. @throws as soon as the handshake is refused */
  static async open(
    url: string,
    token: string,
    options: { autoPong?: boolean; origin?: string } = {},
  ): Promise<RawBot> {
    const socket = new WebSocket(url, 'parley.v1', { headers: { authorization: `Bearer ${token}` }, ...options });
    const bot = new RawBot(socket);
    const refused = bot.closed.then(({ code }) => Promise.reject(new Error(`no welcome, closed with ${code}`)));
    // Heard later only, where it is welcome.
    refused.catch(() => {});
    await Promise.race([bot.frame((frame) => frame.type === 'welcome'), refused]);
    return bot;
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** Waits for a frame, also one that came before. */
  frame(matches: (frame: Frame) => boolean, timeoutMs = 15_000): Promise<Frame> {
    return eventually(
      () => {
        const found = this.frames.find(matches);
        if (!found) throw new Error(`no such frame among ${JSON.stringify(this.frames.slice(-5))}`);
        return found;
      },
      { timeoutMs },
    );
  }

  /** Waits for the ack or nack of a message. */
  async answerTo(id: string): Promise<string> {
    const frame = await this.frame((it) => (it.type === 'nack' && it['id'] === id) || ackedIn(it).includes(id));
    return frame.type === 'ack' ? 'ack' : String(frame['code']);
  }

  get ackedIds(): string[] {
    return this.frames.flatMap(ackedIn);
  }

  nacks(code: string): Frame[] {
    return this.frames.filter((frame) => frame.type === 'nack' && frame['code'] === code);
  }

  end(): void {
    this.socket.terminate();
  }
}

const ackedIn = (frame: Frame): string[] => (frame.type === 'ack' ? (frame['ids'] as string[]) : []);

/** How a handshake that should be refused was answered. */
export async function refusedHandshake(
  url: string,
  { headers = {}, protocols = [] as string[] } = {},
): Promise<{ status: number; body: { code: string; message: string }; headers: Record<string, unknown> }> {
  const socket = new WebSocket(url, protocols, { headers });
  socket.on('error', () => {});
  return await new Promise((resolve, reject) => {
    socket.on('open', () => {
      socket.terminate();
      reject(new Error('the handshake was accepted'));
    });
    socket.on('unexpected-response', async (_, response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      socket.terminate();
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), headers: response.headers });
    });
  });
}

/** A handshake whose connection is reset as soon as it is written, before the answer. */
export async function resetHandshake(url: string, token?: string): Promise<void> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  const lines = [
    `GET ${pathname} HTTP/1.1`,
    `host: ${hostname}`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version: 13',
    'sec-websocket-protocol: parley.v1',
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
  ];
  const closed = once(socket, 'close');
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, () => setImmediate(() => socket.resetAndDestroy()));
  await closed;
}
