import { ParleyClient } from '../../../client/parley-client.ts';

/** Bots that do nothing wrong and send one message after another, each when the one before is acked. */
export class HonestBots {
  readonly #clients: readonly ParleyClient[];
  readonly #running: Promise<void>;
  #stopping = false;
  #onAck: ((latencyMs: number) => void)[] = [];

  private constructor(clients: readonly ParleyClient[]) {
    this.#clients = clients;
    this.#running = Promise.all(clients.map((client, index) => this.#chat(client, index))).then(() => {});
  }

  static async start(url: string, token: string, count: number): Promise<HonestBots> {
    return new HonestBots(await Promise.all(Array.from({ length: count }, () => ParleyClient.connect({ url, token }))));
  }

  get size(): number {
    return this.#clients.length;
  }

  get totals(): { sent: number; acked: number; refused: number; postponed: number; reconnects: number } {
    const sum = (pick: 'sent' | 'acked' | 'refused' | 'postponed' | 'reconnects') =>
      this.#clients.reduce((total, { counters }) => total + counters[pick], 0);
    return {
      sent: sum('sent'),
      acked: sum('acked'),
      refused: sum('refused'),
      postponed: sum('postponed'),
      reconnects: sum('reconnects'),
    };
  }

  /** @returns milliseconds that the next message to be acked took. */
  nextAck(): Promise<number> {
    return new Promise((resolve) => this.#onAck.push(resolve));
  }

  /** The latencies of the next `count` acks. */
  async measure(count: number): Promise<{ p50Ms: number; p99Ms: number }> {
    const latencies: number[] = [];
    while (latencies.length < count) latencies.push(await this.nextAck());
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
    return { p50Ms: at(0.5), p99Ms: at(0.99) };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #chat(client: ParleyClient, index: number): Promise<void> {
    while (!this.#stopping) {
      const started = performance.now();
      await client.send({ conversation_id: `honest-${index}`, speaker: 'user', text: 'Hello.' });
      const latencyMs = performance.now() - started;
      for (const resolve of this.#onAck.splice(0)) resolve(latencyMs);
      // A person's pace, within the bot's rate.
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }
}
