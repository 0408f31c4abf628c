import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { Inbox } from './inbox.ts';

/** `welcome`; an HTTP answer; or a WebSocket that refuses by an `error` frame and a close code, as browsers need it. */
export type HandshakeAnswer =
  | 'welcome'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body: string }
  | { readonly error: string; readonly close: number };

interface KitGatewayOptions {
  readonly handshakes?: readonly HandshakeAnswer[];
  readonly always?: HandshakeAnswer;
  readonly limits?: Readonly<Record<string, number>>;
}

const LIMITS = { max_frame_bytes: 65_536, max_in_flight: 64, max_id_chars: 128, ping_interval_ms: 25_000 };

/** The other end of one scenario: says nothing but `welcome` by itself, and keeps what it is told. */
export class KitGateway {
  readonly handshakes = new Inbox<{ path: string; query: object; token: string; protocol: string }>();
  readonly frames = new Inbox<unknown>();
  readonly closes = new Inbox<number>();
  readonly limits: Readonly<Record<string, number>>;
  readonly #answers: HandshakeAnswer[];
  readonly #always: HandshakeAnswer;
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'parley.v1' });
  readonly #open: WebSocket[] = [];
  readonly #http: Server = createServer();

  constructor({ handshakes = [], always = 'welcome', limits }: KitGatewayOptions) {
    this.#answers = [...handshakes];
    this.#always = always;
    this.limits = { ...LIMITS, ...limits };
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1/stream`;
  }

  stop(): void {
    for (const socket of this.#open) socket.terminate();
    this.#http.close();
    this.#http.closeAllConnections();
  }

  get socket(): WebSocket {
    return this.#opened(-1);
  }

  get before(): WebSocket {
    return this.#opened(-2);
  }

  #opened(index: number): WebSocket {
    const socket = this.#open.at(index);
    if (!socket) throw new Error('there is no such connection');
    return socket;
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const protocol = String(request.headers['sec-websocket-protocol'] ?? '');
    const bearer = /^Bearer (.*)$/.exec(request.headers.authorization ?? '') ?? /bearer\.([^, ]+)/.exec(protocol);
    const answer = this.#answers.shift() ?? this.#always;
    socket.on('error', () => socket.destroy());
    if (typeof answer === 'object' && 'status' in answer) {
      const headers = { ...answer.headers, connection: 'close', 'content-length': Buffer.byteLength(answer.body) };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      socket.end(`HTTP/1.1 ${answer.status} No\r\n${lines.join('\r\n')}\r\n\r\n${answer.body}`);
    } else this.#sockets.handleUpgrade(request, socket, head, (it) => this.#welcome(it, answer));
    const { pathname, searchParams } = new URL(String(request.url), 'ws://kit');
    this.handshakes.push({
      path: pathname,
      query: Object.fromEntries(searchParams),
      token: bearer?.[1] ?? '',
      protocol,
    });
  }

  #welcome(socket: WebSocket, answer: 'welcome' | { readonly error: string; readonly close: number }): void {
    this.#open.push(socket);
    socket.on('error', () => {});
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data))));
    socket.on('close', (code) => this.closes.push(code));
    if (answer === 'welcome') {
      socket.send(
        JSON.stringify({ type: 'welcome', session: `kit-${this.#open.length}`, insights: false, limits: this.limits }),
      );
      return;
    }
    socket.send(JSON.stringify({ type: 'error', code: answer.error, message: answer.error }));
    socket.close(answer.close, answer.error);
  }
}
