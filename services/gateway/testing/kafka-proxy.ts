import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A TCP proxy in front of a one-broker Kafka that can be made to stall. Clients learn a broker's address from its
 * metadata and would go round the proxy, so the broker's port is replaced in what it answers: the host as text and
 * the port in four bytes stand side by side in every version of these responses.
 */
export class KafkaProxy {
  readonly address: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stalled = false;

  private constructor(server: Server) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(broker: string): Promise<KafkaProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new KafkaProxy(server);
    const { port } = server.address() as AddressInfo;
    server.on('connection', (client) => proxy.#join(client, broker, port));
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

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, broker: string, ownPort: number): void {
    const [host, brokerPort] = broker.split(':') as [string, string];
    const upstream = connect(Number(brokerPort), host);
    const theirs = addressBytes(host, Number(brokerPort));
    const ours = addressBytes(host, ownPort);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from);
      if (this.#stalled) from.pause();
      from.on('data', (chunk: Buffer) => to.write(from === upstream ? replaceAll(chunk, theirs, ours) : chunk));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}

function addressBytes(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(host.length + 4);
  bytes.write(host);
  bytes.writeInt32BE(port, host.length);
  return bytes;
}

function replaceAll(chunk: Buffer, what: Buffer, by: Buffer): Buffer {
  for (let at = chunk.indexOf(what); at >= 0; at = chunk.indexOf(what, at + 1)) by.copy(chunk, at);
  return chunk;
}
