import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../services/core/clock.ts';
import type { NlpCall, NlpCalls } from './nlp-calls.ts';

export interface TapOptions {
  /** `host:port` of the NLP API, or of a link to it. */
  readonly target: string;
  readonly calls: NlpCalls;
  readonly clock: Clock;
  /** Which process calls now. */
  readonly life: () => string;
}

interface Document {
  readonly id?: unknown;
}

/** Between one enricher and the NLP API: passes everything on and writes down which documents were sent, by whom. */
export class NlpTap {
  readonly url: string;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #options: TapOptions;

  private constructor(server: Server, options: TapOptions) {
    this.#server = server;
    this.#options = options;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (asked, answer) => {
      this.#pass(asked, answer).catch(() => answer.destroy());
    });
  }

  static async start(options: TapOptions): Promise<NlpTap> {
    // Longer than the enricher keeps an idle connection, so that the tap never closes one that is being used.
    const server = createServer({ keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new NlpTap(server, options);
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { calls, clock, life, target } = this.#options;
    const body = await bodyOf(asked);
    const begun = documentsOf(body).map((id) => calls.begin(id, life(), clock.now()));
    const { method, url: path, headers } = asked;
    const [host, port] = target.split(':');
    const onward = request({ agent: this.#agent, host, port, method, path, headers }, (back) => {
      answer.writeHead(back.statusCode ?? 502, back.headers);
      back.pipe(answer);
      back.on('error', () => answer.destroy());
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => {
      if (answer.writableFinished) this.#answered(begun);
      else onward.destroy();
    });
    onward.end(body);
  }

  #answered(begun: readonly NlpCall[]): void {
    for (const call of begun) call.answeredAtMs = this.#options.clock.now();
  }
}

async function bodyOf(asked: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of asked) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The ids of a single document or of a batch; of anything else none. */
function documentsOf(body: Buffer): string[] {
  try {
    const parsed = JSON.parse(body.toString()) as Document & { readonly documents?: readonly Document[] };
    return (parsed.documents ?? [parsed]).flatMap(({ id }) => (typeof id === 'string' ? [id] : []));
  } catch {
    return [];
  }
}
