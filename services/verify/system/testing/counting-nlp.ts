import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An NLP API over real sockets that counts every call, by message and under way. */
export class CountingNlp {
  readonly #server: Server;
  /** Calls by message id. */
  readonly calls = new Map<string, number>();
  /** How long an answer takes, in milliseconds. */
  delayMs: (id: string) => number = () => 0;
  #inFlight = 0;
  #peak = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<CountingNlp> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string };
        nlp.#begin(id);
        setTimeout(
          () => response.writeHead(200, { 'content-type': 'application/json' }).end(answer(id)),
          nlp.delayMs(id),
        );
      });
      response.on('close', () => {
        nlp.#inFlight -= 1;
      });
    });
    const nlp = new CountingNlp(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return nlp;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get total(): number {
    return [...this.calls.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Messages that were asked for more than once. */
  get repeated(): string[] {
    return [...this.calls].filter(([, count]) => count > 1).map(([id]) => id);
  }

  /** The most calls that were in flight at once since the last `takePeak`. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.#inFlight;
    return peak;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #begin(id: string): void {
    this.calls.set(id, (this.calls.get(id) ?? 0) + 1);
    this.#inFlight += 1;
    this.#peak = Math.max(this.#peak, this.#inFlight);
  }
}

const answer = (id: string): string =>
  JSON.stringify({
    id,
    language: { code: 'en', confidence: 1 },
    sentiment: { label: 'positive', score: 0.5 },
    intent: { name: 'question', confidence: 0.9 },
    toxicity: { score: 0 },
    topics: [],
    entities: [],
    model: 'counting/1',
  });
