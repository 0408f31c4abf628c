import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

interface Received {
  readonly type: string;
  readonly id: string;
  readonly conversation_id: string;
  readonly attempt: number;
  readonly text: string;
}

/** How handshakes are answered instead of with a WebSocket. */
interface Refusal {
  readonly status: number;
  /** The body is `{"code"}` then. */
  readonly code?: string;
  /** The body as something else than the gateway would have it. */
  readonly page?: string;
  readonly retryAfter?: number | string;
}

/** The other end of the protocol, word by word: it answers only what a test tells it to. */
export class ScriptedGateway {
  readonly received: Received[] = [];
  readonly tokens: string[] = [];
  /** The request lines of the handshakes. */
  readonly urls: string[] = [];
  readonly sockets: WebSocket[] = [];
  limits = { max_frame_bytes: 2_000, max_in_flight: 4, ping_interval_ms: 25_000 };
  refusal: Refusal | undefined;
  /** What a new session is told instead of `welcome`. */
  greeting: ((socket: WebSocket) => void) | undefined;
  onMessage: (message: Received, socket: WebSocket) => void = () => {};
  readonly #http: Server;

  constructor() {
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'parley.v1' });
    this.#http = createServer();
    this.#http.on('upgrade', (request, socket, head) => {
      this.urls.push(String(request.url));
      this.tokens.push(request.headers.authorization ?? String(request.headers['sec-websocket-protocol']));
      if (this.refusal) {
        const { status, code, page = JSON.stringify({ code }), retryAfter } = this.refusal;
        // A client that gives up may reset the connection before it has read this; node:http listens no more by now.
        socket.on('error', () => socket.destroy());
        const retry = retryAfter === undefined ? '' : `retry-after: ${retryAfter}\r\n`;
        socket.end(`HTTP/1.1 ${status} No\r\n${retry}connection: close\r\n\r\n${page}`);
        return;
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1/stream`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  get last(): WebSocket {
    return this.sockets.at(-1) as WebSocket;
  }

  say(frame: object, socket = this.last): void {
    socket.send(JSON.stringify(frame));
  }

  /** Names the conversation of each, where it has come. */
  ack(...ids: string[]): void {
    const conversations = ids.map((id) => this.#conversationOf(id) ?? 'unknown');
    this.say({ type: 'ack', ids, conversation_ids: conversations });
  }

  nack(id: string, code: string, retry_after_ms?: number): void {
    const conversation_id = this.#conversationOf(id);
    const retry = retry_after_ms !== undefined && { retry_after_ms };
    this.say({ type: 'nack', id, ...(conversation_id && { conversation_id }), code, message: code, ...retry });
  }

  #conversationOf(id: string): string | undefined {
    return this.received.findLast((message) => message.id === id)?.conversation_id;
  }

  #open(socket: WebSocket): void {
    this.sockets.push(socket);
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Received;
      this.received.push(message);
      this.onMessage(message, socket);
    });
    if (this.greeting) this.greeting(socket);
    else this.say({ type: 'welcome', session: 's', limits: this.limits }, socket);
  }
}
