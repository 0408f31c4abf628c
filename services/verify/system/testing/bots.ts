import { ParleyClient } from '../../../client/parley-client.ts';
import { demoConversations } from '../../../operator/demo/conversations.ts';
import type { tokenSigner } from '../../../operator/local-token.ts';

/** Bots that talk to gateways over WebSocket, and the ids of all their messages that were acked. */
export class Bots {
  readonly acked = new Set<string>();
  readonly #clients: ParleyClient[] = [];
  readonly #sign: Awaited<ReturnType<typeof tokenSigner>>;

  constructor(sign: Awaited<ReturnType<typeof tokenSigner>>) {
    this.#sign = sign;
  }

  async connect(url: string, count: number): Promise<void> {
    for (let bot = 0; bot < count; bot++) {
      const token = await this.#sign({
        tenant: `tenant-${bot % 4}`,
        bot: `bot-${bot}`,
        roles: ['bot'],
        ttlMs: 3_600_000,
      });
      this.#clients.push(await ParleyClient.connect({ url, token, backoff: { minMs: 50, maxMs: 500 } }));
    }
  }

  /** Conversations of the demo generator, each with one bot and in order. */
  async send(count: number, run: string): Promise<void> {
    const conversations = demoConversations(7);
    const work: Promise<void>[] = [];
    for (let n = 0, sent = 0; sent < count; n++) {
      const { conversation_id, messages } = conversations.next().value;
      const client = this.#clients[n % this.#clients.length] as ParleyClient;
      for (const [turn, message] of messages.slice(0, count - sent).entries()) {
        sent++;
        await client.room();
        const id = `${run}-${n}-${turn}`;
        work.push(
          client
            .send({ ...message, id, conversation_id: `${run}-${conversation_id}` })
            .then(() => void this.acked.add(id)),
        );
      }
    }
    await Promise.all(work);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}
