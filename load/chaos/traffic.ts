import { ParleyClient } from '../../services/client/parley-client.ts';
import { systemClock } from '../../services/core/clock.ts';
import { seededRandom } from '../../services/core/random.ts';
import { tokenSigner } from '../../services/operator/local-token.ts';
import { Chats, demoChats } from '../kit/chats.ts';
import { arrivals } from '../open-loop/arrivals.ts';
import { type LoadMessage, OpenLoop } from '../open-loop/open-loop.ts';

export interface TrafficOptions {
  readonly url: string;
  readonly keyPath: string;
  readonly bots: number;
  readonly ratePerS: number;
  readonly seed: number;
  readonly onSent: (id: string) => void;
}

const TENANTS = 4;
const TOKEN_MS = 24 * 3_600_000;
/** A long outage must not make a bot refuse messages of its own. */
const MAX_BUFFERED = 1_000_000;

/** Bots that send on an open loop until they are stopped, and remember what was acked. */
export class Traffic {
  readonly acked = new Set<string>();
  readonly #clients: readonly ParleyClient[];
  readonly #loop: OpenLoop;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(clients: readonly ParleyClient[], { seed, ratePerS, onSent }: TrafficOptions) {
    const runId = `chaos-${seed}`;
    const chats = new Chats(demoChats(seed), runId);
    const random = seededRandom(seed);
    const send = (client: ParleyClient) => async (message: LoadMessage) => {
      await client.send(message);
      this.acked.add(message.id);
    };
    this.#clients = clients;
    this.#loop = new OpenLoop({
      bots: clients.map((client) => ({ send: send(client) })),
      nextTurn: (bot) => chats.next(bot),
      arrivals: arrivals({ process: 'poisson', ratePerS, durationMs: Number.POSITIVE_INFINITY, random }),
      runId,
      warmUpMs: 0,
      clock: systemClock,
      random,
      signal: this.#stop.signal,
      onSent: ({ id }) => onSent(id),
    });
  }

  static async connect(options: TrafficOptions): Promise<Traffic> {
    const sign = await tokenSigner(options.keyPath);
    const clients = await Promise.all(
      Array.from({ length: options.bots }, async (_, bot) => {
        const tenant = `tenant-${bot % TENANTS}`;
        const token = await sign({ tenant, bot: `bot-${bot}`, roles: ['bot'], ttlMs: TOKEN_MS });
        const backoff = { minMs: 50, maxMs: 1_000 };
        return ParleyClient.connect({ url: options.url, token, backoff, maxBuffered: MAX_BUFFERED });
      }),
    );
    return new Traffic(clients, options);
  }

  start(): void {
    this.#running = this.#loop.run();
  }

  get sent(): number {
    return this.#loop.sent;
  }

  /** Neither acked nor refused yet. */
  get unsettled(): number {
    return this.#loop.unsettled;
  }

  /** By code. */
  get refused(): Readonly<Record<string, number>> {
    return this.#loop.refused;
  }

  /** Messages that went out again because their connection was lost. */
  get resent(): number {
    return this.#clients.reduce((sum, { counters }) => sum + counters.resent, 0);
  }

  get reconnects(): number {
    return this.#clients.reduce((sum, { counters }) => sum + counters.reconnects, 0);
  }

  /** Sends no more, and waits for the acks of what was sent. */
  async finish(timeoutMs: number): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#loop.settled(timeoutMs);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await Promise.all(this.#clients.map((client) => client.close({ timeoutMs: 0 })));
  }
}
