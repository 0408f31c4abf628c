import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { garbageBody } from '../faults/garbage.ts';
import type { Fate, FaultInjector } from '../faults/injector.ts';
import type { LatencySource } from '../latency.ts';
import { type Answer, errorAnswer, injectedAnswer, overloadedAnswer, throttledAnswer } from './answers.ts';
import { collectBody } from './body.ts';
import { answerClientError } from './client-error.ts';
import { KEEP_ALIVE_MS, REQUEST_TIMEOUT_MS } from './limits.ts';
import { findRoute, type Route } from './routes.ts';

export interface NlpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly routes: ReadonlyMap<string, Route>;
  readonly latency: LatencySource;
  readonly injector: FaultInjector;
  /** Requests beyond it are answered 503 at once; bounds memory. */
  readonly maxInFlight: number;
  /** Called once a request has ended; `status` is `aborted` when it never got a whole answer. */
  readonly onRequest: (route: string, status: number | 'aborted', durationMs: number) => void;
}

/** Connections waiting to be accepted: thousands may come at once. */
const BACKLOG = 4_096;

/**
 * The HTTP side of the NLP API. Each request passes: route, body, fault (if any is set), latency, analysis. A request
 * waits for its latency in one plain timer; when the caller goes away meanwhile, it is never analysed.
 */
export class NlpServer {
  readonly #options: NlpServerOptions;
  readonly #server: Server;
  readonly #hanging = new Set<ServerResponse>();
  #port = 0;
  #inFlight = 0;
  #draining = false;

  private constructor(options: NlpServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => this.#serve(request, response),
    );
    this.#server.on('clientError', answerClientError);
  }

  static async start(options: NlpServerOptions): Promise<NlpServer> {
    const server = new NlpServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(options.port, options.host, BACKLOG, () => {
        server.#server.off('error', reject);
        server.#port = (server.#server.address() as AddressInfo).port;
        resolve();
      });
    });
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Accepts no more connections, answers what is in flight (what hangs by fault is cut), then closes. */
  async stop(): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    for (const response of this.#hanging) response.destroy();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const startedMs = performance.now();
    const { routes, maxInFlight, onRequest } = this.#options;
    const routed = findRoute(routes, request);
    this.#inFlight += 1;
    response.on('close', () => {
      this.#inFlight -= 1;
      const status = response.writableFinished ? response.statusCode : 'aborted';
      onRequest('route' in routed ? routed.route.name : 'other', status, performance.now() - startedMs);
    });
    const refused =
      'refusal' in routed ? routed.refusal : this.#inFlight > maxInFlight ? overloadedAnswer(maxInFlight) : undefined;
    if (refused || !('route' in routed)) {
      request.resume();
      if (refused) this.#send(response, refused);
      return;
    }
    const { route } = routed;
    collectBody(request, route.maxBodyBytes, (body) => {
      if (body === undefined) {
        const message = `the body exceeds ${route.maxBodyBytes} bytes, the most that is allowed here`;
        this.#send(response, errorAnswer({ code: 'body_too_large', message }, { connection: 'close' }));
      } else {
        this.#schedule(response, route, body, startedMs);
      }
    });
  }

  #schedule(response: ServerResponse, route: Route, body: Buffer, startedMs: number): void {
    const { injector, latency } = this.#options;
    const fate = injector.fate();
    if (fate.kind === 'throttle') {
      this.#send(response, throttledAnswer(fate.retryAfterS));
      return;
    }
    const waitMs = injector.slowed(latency()) - (performance.now() - startedMs);
    if (waitMs <= 0) {
      this.#finish(response, fate, route, body);
      return;
    }
    const timer = setTimeout(() => this.#finish(response, fate, route, body), waitMs);
    response.on('close', () => clearTimeout(timer));
  }

  #finish(response: ServerResponse, fate: Exclude<Fate, { kind: 'throttle' }>, route: Route, body: Buffer): void {
    if (fate.kind === 'answer') this.#send(response, this.#analyse(route, body));
    else if (fate.kind === 'error') this.#send(response, injectedAnswer(fate.status, fate.retryAfterS));
    else if (fate.kind === 'garbage') this.#send(response, { status: 200, ...garbageBody(fate.variant) });
    else if (fate.kind === 'hang') this.#hang(response);
    else if (fate.midway) this.#sendHalf(response, this.#analyse(route, body));
    else response.destroy();
  }

  #sendHalf(response: ServerResponse, answer: Answer): void {
    response.writeHead(answer.status, headersOf(answer));
    response.write(answer.body.slice(0, answer.body.length / 2), () => response.destroy());
  }

  #hang(response: ServerResponse): void {
    if (this.#draining) {
      response.destroy();
      return;
    }
    this.#hanging.add(response);
    response.on('close', () => this.#hanging.delete(response));
  }

  /** An analyser that throws must not take the process, nor its neighbours, with it. */
  #analyse(route: Route, body: Buffer): Answer {
    try {
      return route.step(body);
    } catch {
      return errorAnswer({ code: 'analysis_failed', message: 'the analysis failed' });
    }
  }

  #send(response: ServerResponse, answer: Answer): void {
    if (response.destroyed) return;
    if (this.#draining) response.setHeader('connection', 'close');
    response.writeHead(answer.status, headersOf(answer)).end(answer.body);
  }
}

function headersOf({ type, body, headers }: Answer): Record<string, string | number> {
  return { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers };
}
