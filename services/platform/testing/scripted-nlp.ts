import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ApiRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into the body
  readonly json: any;
}

export interface ApiReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or a text that is sent as it is. */
  readonly body?: unknown;
}

/** Longer than a client keeps an idle connection, so that the API never closes one that is being used. */
const KEEP_ALIVE_MS = 60_000;

/** An NLP API over real sockets on a free port of the loopback interface: its answers are the test's, its calls are counted. */
export class ScriptedNlp {
  readonly requests: ApiRequest[] = [];
  /** Calls by document id. */
  readonly calls = new Map<string, number>();
  /** `undefined`: never answered. */
  answer: (request: ApiRequest) => ApiReply | Promise<ApiReply> | undefined;
  readonly #server: Server;
  #inFlight = 0;
  #peak = 0;

  private constructor(server: Server, answer: ScriptedNlp['answer']) {
    this.#server = server;
    this.answer = answer;
  }

  static async start(answer: ScriptedNlp['answer'] = parleyAnswer): Promise<ScriptedNlp> {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const { url: path = '', headers } = incoming;
      const request = { path, headers, bytes: body.length, json: JSON.parse(body.toString()) };
      response.on('close', () => {
        nlp.#inFlight--;
      });
      nlp.#begin(request);
      const reply = await nlp.answer(request);
      if (!reply) return;
      const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {});
      response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers }).end(text);
    });
    const nlp = new ScriptedNlp(server, answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return nlp;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Documents that were asked for more than once. */
  get repeated(): string[] {
    return [...this.calls].filter(([, count]) => count > 1).map(([id]) => id);
  }

  /** The most requests that were in flight at once since the last `takePeak`. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.#inFlight;
    return peak;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #begin(request: ApiRequest): void {
    this.requests.push(request);
    this.#inFlight++;
    this.#peak = Math.max(this.#peak, this.#inFlight);
    const { documents = [request.json] } = request.json as { documents?: SentDocument[] };
    for (const { id } of documents) this.calls.set(id, (this.calls.get(id) ?? 0) + 1);
  }
}

export interface SentDocument {
  readonly id: string;
  readonly text: string;
}

/** The analysis of one document in the Parley API's shape; the intent repeats the text, so that a test sees whose it is. */
export const analysisOf = ({ id, text }: SentDocument, model = 'scripted/1') => ({
  id,
  language: { code: 'en', confidence: 1 },
  sentiment: { label: 'neutral', score: 0 },
  intent: { name: text.slice(0, 100) || 'nothing', confidence: 0.9 },
  toxicity: { score: 0 },
  topics: [],
  entities: [],
  model,
});

/** What an API in good order answers. */
export function parleyAnswer({ path, json }: Pick<ApiRequest, 'path' | 'json'>): ApiReply {
  if (path.endsWith('/v1/analyze')) return { body: analysisOf(json) };
  const documents = json.documents as SentDocument[];
  return { body: { results: documents.map((document) => analysisOf(document)), errors: [] } };
}

/** What an API answers that refuses a text for good. */
export const REJECTION: ApiReply = { status: 400, body: { code: 'bad' } };
