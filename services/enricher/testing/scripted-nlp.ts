import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An NLP API over real sockets whose behaviour a test decides: the fault, not the part under test. */
export class ScriptedNlp {
  readonly #server: Server;
  calls: { id: string; text: string }[] = [];
  answer: (id: string, response: ServerResponse, request: IncomingMessage) => void = (id, response) =>
    this.ok(id, response);

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ScriptedNlp> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { id, text } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string; text: string };
        nlp.calls.push({ id, text });
        nlp.answer(id, response, request);
      });
    });
    const nlp = new ScriptedNlp(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return nlp;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  ok(id: string, response: ServerResponse): void {
    const analysis = {
      id,
      language: { code: 'en', confidence: 1 },
      sentiment: { label: 'neutral', score: 0 },
      intent: { name: 'question', confidence: 0.9 },
      toxicity: { score: 0 },
      topics: [],
      entities: [],
      model: 'scripted/1',
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(analysis));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
