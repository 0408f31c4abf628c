import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

export const PRODUCE_API_KEY = 0;

/** Called for each response; `drop` loses it, `cut` loses it and closes the connection. */
export type ResponseRule = (response: { readonly apiKey: number; readonly number: number }) => 'pass' | 'drop' | 'cut';

/**
 * A TCP proxy in front of one broker that understands Kafka's framing, so that a test can lose single responses: the
 * broker has done the work, and the client cannot know.
 */
export class KafkaProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<number, number>();
  rule: ResponseRule = () => 'pass';
  /** While false, new connections are closed at once. */
  accepting = true;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(broker: { host: string; port: number }): Promise<KafkaProxy> {
    const server = createServer((client) => proxy.#forward(client, broker));
    const proxy = new KafkaProxy(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  readonly dial = () => ({ host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port });

  /** Closes every connection that is open now. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #forward(client: Socket, broker: { host: string; port: number }): void {
    if (!this.accepting) {
      client.destroy();
      return;
    }
    const upstream = connect({ ...broker, noDelay: true });
    const apiKeys = new Map<number, number>();
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (chunk) => upstream.write(chunk));
    onFrame(client, (frame) => apiKeys.set(frame.readInt32BE(8), frame.readInt16BE(4)));
    onFrame(upstream, (frame) => {
      const correlationId = frame.readInt32BE(4);
      const apiKey = apiKeys.get(correlationId) ?? -1;
      apiKeys.delete(correlationId);
      const number = (this.#counts.get(apiKey) ?? 0) + 1;
      this.#counts.set(apiKey, number);
      const verdict = this.rule({ apiKey, number });
      if (verdict === 'pass') client.write(frame);
      if (verdict === 'cut') client.destroy();
    });
  }
}

/** Calls back with each whole frame: four bytes of length, then as many bytes. */
function onFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  });
}
