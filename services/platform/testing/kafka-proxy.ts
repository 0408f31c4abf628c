import type { Server } from 'node:net';
import { CUT, FaultyLink, hostAndPort, listening, type Wire } from './faulty-link.ts';

export const PRODUCE_API_KEY = 0;
export const FETCH_API_KEY = 1;
export const OFFSET_COMMIT_API_KEY = 8;

/** Called for each response; `drop` loses it, `cut` loses it and closes the connection. */
export type ResponseRule = (response: { readonly apiKey: number }) => 'pass' | 'drop' | 'cut';

/** Addresses of brokers, and those of the proxies in front of them, as they stand in a response. */
type Swap = { readonly theirs: Buffer; readonly ours: Buffer };

/**
 * A faulty link to a Kafka broker that understands its framing, so that a test can lose single responses: the broker has
 * done the work, and the client cannot know. Clients learn the brokers' addresses from metadata and would go round the
 * proxy, so the ports are replaced in what a broker answers: the host as text and the port in four bytes stand side by
 * side in every version of these responses.
 */
export class KafkaProxy extends FaultyLink {
  rule: ResponseRule = () => 'pass';
  #swaps: readonly Swap[] = [];

  private constructor(server: Server, broker: string) {
    super(server, broker);
  }

  static override async start(broker: string): Promise<KafkaProxy> {
    const [proxy] = await KafkaProxy.startAll([broker]);
    return proxy as KafkaProxy;
  }

  /** One in front of each broker of a cluster. */
  static async startAll(brokers: readonly string[]): Promise<readonly KafkaProxy[]> {
    const proxies = await Promise.all(brokers.map(async (broker) => new KafkaProxy(await listening(), broker)));
    const swaps = brokers.map((broker, index) => {
      const { address } = proxies[index] as KafkaProxy;
      return { theirs: addressBytes(broker), ours: addressBytes(address) };
    });
    for (const proxy of proxies) proxy.#swaps = swaps;
    return proxies;
  }

  protected override wire(): Wire {
    const apiKeys = new Map<number, number>();
    const [requests, responses] = [new Frames(), new Frames()];
    return {
      request: (chunk) =>
        requests.add(chunk).map((frame) => {
          apiKeys.set(frame.readInt32BE(8), frame.readInt16BE(4));
          return frame;
        }),
      response: (chunk) =>
        responses.add(chunk).flatMap((frame): (Buffer | typeof CUT)[] => {
          const correlationId = frame.readInt32BE(4);
          const verdict = this.rule({ apiKey: apiKeys.get(correlationId) ?? -1 });
          apiKeys.delete(correlationId);
          if (verdict === 'cut') return [CUT];
          return verdict === 'drop' ? [] : [this.#swapped(frame)];
        }),
    };
  }

  #swapped(frame: Buffer): Buffer {
    for (const { theirs, ours } of this.#swaps) {
      for (let at = frame.indexOf(theirs); at >= 0; at = frame.indexOf(theirs, at + 1)) ours.copy(frame, at);
    }
    return frame;
  }
}

/** Cuts a stream into whole frames: four bytes of length, then as many bytes. */
class Frames {
  #rest: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): Buffer[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Buffer[] = [];
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const end = 4 + this.#rest.readInt32BE(0);
      frames.push(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end);
    }
    return frames;
  }
}

function addressBytes(address: string): Buffer {
  const { host, port } = hostAndPort(address);
  const bytes = Buffer.alloc(host.length + 4);
  bytes.write(host);
  bytes.writeInt32BE(port, host.length);
  return bytes;
}
