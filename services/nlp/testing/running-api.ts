import { Agent, type Dispatcher, request } from 'undici';
import { ManualClock } from '../../core/clock.ts';
import { seededRandom } from '../../core/random.ts';
import { analyse } from '../analyser.ts';
import { apiRoutes } from '../api/api-routes.ts';
import { NlpServer, type NlpServerOptions } from '../api/server.ts';
import { FaultInjector, type FaultKind } from '../faults/injector.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into the body
  readonly json: any;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The NLP API over a real socket on a free port, with its faults and counts at hand. */
export class RunningApi {
  readonly server: NlpServer;
  readonly injector: FaultInjector;
  readonly clock: ManualClock;
  readonly requests: { route: string; status: number | 'aborted' }[];
  readonly faults: FaultKind[];
  readonly #agent = new Agent({ connections: 16 });

  private constructor(parts: Pick<RunningApi, 'server' | 'injector' | 'clock' | 'requests' | 'faults'>) {
    this.server = parts.server;
    this.injector = parts.injector;
    this.clock = parts.clock;
    this.requests = parts.requests;
    this.faults = parts.faults;
  }

  static async start(options: Partial<NlpServerOptions> = {}): Promise<RunningApi> {
    const clock = new ManualClock();
    const faults: FaultKind[] = [];
    const requests: RunningApi['requests'] = [];
    const injector = new FaultInjector(seededRandom(7), clock, (kind) => faults.push(kind));
    const server = await NlpServer.start({
      host: '127.0.0.1',
      port: 0,
      routes: apiRoutes({ analyser: analyse, injector, onDocument: () => {} }),
      latency: () => 0,
      injector,
      maxInFlight: 1_000,
      onRequest: (route, status) => requests.push({ route, status }),
      ...options,
    });
    return new RunningApi({ server, injector, clock, requests, faults });
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  async send(path: string, options: Partial<Dispatcher.RequestOptions> = {}): Promise<Reply> {
    const { statusCode, headers, body } = await request(`${this.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      dispatcher: this.#agent,
      ...options,
    } as Parameters<typeof request>[1]);
    const text = await body.text();
    return { status: statusCode, headers, text, json: parsed(text) };
  }

  analyze(document: unknown, signal?: AbortSignal): Promise<Reply> {
    return this.send('/v1/analyze', { body: JSON.stringify(document), ...(signal && { signal }) });
  }

  batch(documents: unknown): Promise<Reply> {
    return this.send('/v1/analyze:batch', { body: JSON.stringify({ documents }) });
  }

  async stop(): Promise<void> {
    await this.#agent.destroy();
    await this.server.stop();
  }
}
