import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

interface Received {
  readonly id: string;
  readonly attempt: number;
  readonly text: string;
}

/** The other end of the protocol, word by word: it answers only what a test tells it to. */
export class ScriptedGateway {
  readonly received: Received[] = [];
  readonly tokens: string[] = [];
  /** The request lines of the handshakes. */
  readonly urls: string[] = [];
  readonly sockets: WebSocket[] = [];
  limits = { max_frame_bytes: 2_000, max_in_flight: 4, ping_interval_ms: 25_000 };
  refusal: { status: number; code: string; retryAfterS?: number } | undefined;
  onMessage: (message: Received, socket: WebSocket) => void = () => {};
  readonly #http: Server;

  constructor() {
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'parley.v1' });
    this.#http = createServer();
    this.#http.on('upgrade', (request, socket, head) => {
      this.urls.push(String(request.url));
      this.tokens.push(request.headers.authorization ?? String(request.headers['sec-websocket-protocol']));
      if (this.refusal) {
        const { status, code, retryAfterS } = this.refusal;
        // A client that gives up may reset the connection before it has read this; node:http listens no more by now.
        socket.on('error', () => socket.destroy());
        const retry = retryAfterS ? `retry-after: ${retryAfterS}\r\n` : '';
        socket.end(`HTTP/1.1 ${status} No\r\n${retry}connection: close\r\n\r\n${JSON.stringify({ code })}`);
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

  ack(...ids: string[]): void {
    this.say({ type: 'ack', ids });
  }

  nack(id: string, code: string, retry_after_ms?: number): void {
    this.say({ type: 'nack', id, code, message: code, ...(retry_after_ms !== undefined && { retry_after_ms }) });
  }

  #open(socket: WebSocket): void {
    this.sockets.push(socket);
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Received;
      this.received.push(message);
      this.onMessage(message, socket);
    });
    this.say({ type: 'welcome', session: 's', limits: this.limits }, socket);
  }
}
