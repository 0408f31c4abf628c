import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Closes the client's connection in the place of a response. */
export const CUT = Symbol('cut');

/** What one connection does to the bytes that pass; by default nothing. */
export interface Wire {
  readonly request: (chunk: Buffer) => readonly Buffer[];
  readonly response: (chunk: Buffer) => readonly (Buffer | typeof CUT)[];
}

type Item = Buffer | typeof CUT | 'end';

interface Trap {
  readonly matches: (request: Buffer) => boolean;
  readonly then: 'cut' | 'silence';
  readonly sprung: () => void;
}

/** A connection through a link, both its halves. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Once set, what the server says is lost. */
  deaf: Trap | undefined;
  /** Never resumed. */
  abandoned: boolean;
}

const asIs: Wire = { request: (chunk) => [chunk], response: (chunk) => [chunk] };

/**
 * A TCP proxy that stands for a faulty network between two parts: it cuts, delays, falls silent with every connection
 * open, or loses a single answer. What was sent into a silence arrives when it ends, late, as after a retransmission.
 */
export class FaultyLink {
  /** `host:port`, in the place of the target's. */
  readonly address: string;
  readonly #server: Server;
  readonly #target: string;
  readonly #pairs = new Set<Pair>();
  readonly #traps: Trap[] = [];
  #state: 'open' | 'cut' | 'silent' = 'open';
  /** Added to whatever passes, each way. */
  delayMs = 0;
  /** Connections that were tried so far, whatever came of them. */
  tried = 0;

  protected constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (client) => this.#join(client));
  }

  /** @param target `host:port`. */
  static async start(target: string): Promise<FaultyLink> {
    return new FaultyLink(await listening(), target);
  }

  /** Ends every fault. */
  open(): void {
    this.delayMs = 0;
    this.#state = 'open';
    for (const { client, server, abandoned } of this.#pairs) {
      if (abandoned) continue;
      client.resume();
      server.resume();
    }
  }

  /** Resets every connection, and every one that is tried until {@link open}. */
  cut(): void {
    this.#state = 'cut';
    this.cutAll();
  }

  /** Resets every connection that is open now. */
  cutAll(): void {
    for (const pair of this.#pairs) reset(pair);
  }

  /** Connections that are open now stay so for good without another word; new ones work: a firewall forgot them. */
  abandonAll(): void {
    for (const pair of this.#pairs) {
      pair.abandoned = true;
      pair.client.pause();
      pair.server.pause();
    }
  }

  /** Nothing passes any more, in either direction; connections stay open, and new ones are accepted. */
  silence(): void {
    this.#state = 'silent';
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  /**
   * The next request that matches reaches its server, and the answer is lost; then the connection is reset, or stays
   * open for good without another word.
   *
   * @returns a promise of the moment at which the answer was lost: the server has done the work by then.
   */
  loseAnswer(matches: (request: Buffer) => boolean, then: 'cut' | 'silence' = 'cut'): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#traps.push({ matches, then, sprung: resolve });
    return promise;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** For links that understand what passes. */
  protected wire(): Wire {
    return asIs;
  }

  #join(client: Socket): void {
    this.tried++;
    if (this.#state === 'cut') {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const { host, port } = hostAndPort(this.#target);
    const server = connect({ host, port, noDelay: true, allowHalfOpen: true });
    const pair: Pair = { client, server, deaf: undefined, abandoned: false };
    this.#pairs.add(pair);
    const wire = this.wire();
    this.#carry(client, server, (chunk) => {
      const trap = this.#traps.findIndex(({ matches }) => matches(chunk));
      if (trap >= 0) [pair.deaf] = this.#traps.splice(trap, 1);
      return wire.request(chunk);
    });
    this.#carry(server, client, (chunk) => {
      if (!pair.deaf) return wire.response(chunk);
      pair.deaf.sprung();
      return pair.deaf.then === 'cut' ? [CUT] : [];
    });
    for (const socket of [client, server]) {
      if (this.#state === 'silent') socket.pause();
      socket.on('error', () => reset(pair));
      socket.on('close', () => client.closed && server.closed && this.#pairs.delete(pair));
    }
  }

  #carry(from: Socket, to: Socket, pass: (chunk: Buffer) => readonly Item[]): void {
    const onTheWay: { readonly item: Item; readonly dueMs: number }[] = [];
    const send = (item: Item) => {
      if (item === 'end') to.end();
      else if (item === CUT) to.resetAndDestroy();
      else if (!to.destroyed) to.write(item);
    };
    // In the order in which they came, so that a delay that ends, or a timer that is late, reorders nothing.
    const arrive = () => {
      const now = performance.now();
      while (onTheWay[0] && onTheWay[0].dueMs <= now) send((onTheWay.shift() as { item: Item }).item);
    };
    const later = (items: readonly Item[]) => {
      const dueMs = performance.now() + this.delayMs;
      for (const item of items) onTheWay.push({ item, dueMs });
      arrive();
      // A timer may fire a fraction of a millisecond early.
      if (onTheWay.length > 0) setTimeout(arrive, this.delayMs + 1).unref();
    };
    from.on('data', (chunk: Buffer) => later(pass(chunk)));
    from.on('end', () => later(['end']));
    // After a reset there was no end: then the other half must not wait for one.
    from.on('close', () => from.readableEnded || to.destroy());
  }
}

/** A server on a free port. */
export async function listening(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}

function reset({ client, server }: Pair): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}
