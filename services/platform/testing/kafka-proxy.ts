import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export const PRODUCE_API_KEY = 0;

/** Called for each response; `drop` loses it, `cut` loses it and closes the connection. */
export type ResponseRule = (response: { readonly apiKey: number }) => 'pass' | 'drop' | 'cut';

/**
 * A TCP proxy in front of a one-broker Kafka that understands its framing, so that a test can lose single responses (the
 * broker has done the work, and the client cannot know), stall it, or cut it off. Clients learn a broker's address from
 * its metadata and would go round the proxy, so the broker's port is replaced in what it answers: the host as text and
 * the port in four bytes stand side by side in every version of these responses.
 */
export class KafkaProxy {
  /** `host:port`, to be used as the bootstrap broker. */
  readonly address: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stalled = false;
  rule: ResponseRule = () => 'pass';
  /** While false, new connections are closed at once. */
  accepting = true;

  private constructor(server: Server) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(broker: string): Promise<KafkaProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new KafkaProxy(server);
    server.on('connection', (client) => proxy.#join(client, broker));
    return proxy;
  }

  /** Nothing passes any more, in either direction; connections stay open. */
  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  resume(): void {
    this.#stalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Closes every connection that is open now. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cutAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, broker: string): void {
    if (!this.accepting) {
      client.destroy();
      return;
    }
    const [host, port] = broker.split(':') as [string, string];
    const upstream = connect({ host, port: Number(port), noDelay: true });
    const theirs = addressBytes(broker);
    const ours = addressBytes(this.address);
    const apiKeys = new Map<number, number>();
    this.#tie(client, upstream);
    this.#tie(upstream, client);
    onFrame(client, (frame) => {
      apiKeys.set(frame.readInt32BE(8), frame.readInt16BE(4));
      upstream.write(frame);
    });
    onFrame(upstream, (frame) => {
      const correlationId = frame.readInt32BE(4);
      const verdict = this.rule({ apiKey: apiKeys.get(correlationId) ?? -1 });
      apiKeys.delete(correlationId);
      if (verdict === 'pass') client.write(replaceAll(frame, theirs, ours));
      if (verdict === 'cut') client.destroy();
    });
  }

  #tie(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    if (this.#stalled) socket.pause();
    socket.on('error', () => other.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      other.destroy();
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

function addressBytes(address: string): Buffer {
  const [host, port] = address.split(':') as [string, string];
  const bytes = Buffer.alloc(host.length + 4);
  bytes.write(host);
  bytes.writeInt32BE(Number(port), host.length);
  return bytes;
}

function replaceAll(frame: Buffer, what: Buffer, by: Buffer): Buffer {
  for (let at = frame.indexOf(what); at >= 0; at = frame.indexOf(what, at + 1)) by.copy(frame, at);
  return frame;
}
