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
        resolve();
      });
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
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
    const { injector, routes, maxInFlight, onRequest } = this.#options;
    const routed = findRoute(routes, request);
    this.#inFlight += 1;
    response.on('close', () => {
      this.#inFlight -= 1;
      const status = response.writableFinished ? response.statusCode : 'aborted';
      onRequest('route' in routed ? routed.route.name : 'other', status, performance.now() - startedMs);
    });
    if ('refusal' in routed) {
      request.resume();
      return this.#send(response, routed.refusal);
    }
    if (this.#inFlight > maxInFlight) {
      request.resume();
      return this.#send(response, overloadedAnswer(maxInFlight));
    }
    const { route } = routed;
    collectBody(request, route.maxBodyBytes, (body) => {
      if (body === undefined) {
        const message = `the body exceeds ${route.maxBodyBytes} bytes, the most that is allowed here`;
        return this.#send(response, errorAnswer({ code: 'body_too_large', message }, { connection: 'close' }));
      }
      const fate = injector.fate();
      if (fate.kind === 'throttle') return this.#send(response, throttledAnswer(fate.retryAfterS));
      const elapsedMs = performance.now() - startedMs;
      const waitMs = injector.slowed(this.#options.latency()) - elapsedMs;
      if (waitMs <= 0) return this.#finish(response, fate, route, body);
      const timer = setTimeout(() => this.#finish(response, fate, route, body), waitMs);
      response.on('close', () => clearTimeout(timer));
    });
  }

  #finish(response: ServerResponse, fate: Exclude<Fate, { kind: 'throttle' }>, route: Route, body: Buffer): void {
    switch (fate.kind) {
      case 'answer':
        return this.#send(response, this.#analyse(route, body));
      case 'error':
        return this.#send(response, injectedAnswer(fate.status, fate.retryAfterS));
      case 'garbage':
        return this.#send(response, { status: 200, ...garbageBody(fate.variant) });
      case 'hang':
        return this.#hang(response);
      case 'drop': {
        if (!fate.midway) {
          response.destroy();
          return;
        }
        const answer = this.#analyse(route, body);
        response.writeHead(answer.status, headersOf(answer));
        response.write(answer.body.slice(0, answer.body.length / 2), () => response.destroy());
      }
    }
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
