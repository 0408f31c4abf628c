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

/** A real HTTP server on a free port of the loopback interface; its answers are the test's. */
export class ScriptedApi {
  readonly requests: ApiRequest[] = [];
  /** `undefined`: never answered. */
  answer: (request: ApiRequest) => ApiReply | Promise<ApiReply> | undefined;
  readonly #server: Server;

  private constructor(server: Server, answer: ScriptedApi['answer']) {
    this.#server = server;
    this.answer = answer;
  }

  static async start(answer: ScriptedApi['answer'] = parleyAnswer): Promise<ScriptedApi> {
    const server = createServer(async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const { url: path = '', headers } = incoming;
      const request = { path, headers, bytes: body.length, json: JSON.parse(body.toString()) };
      api.requests.push(request);
      const reply = await api.answer(request);
      if (!reply) return;
      const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {});
      response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers }).end(text);
    });
    const api = new ScriptedApi(server, answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
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
