import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Credentials } from '../handshake/auth.ts';
import { pathOf, STREAM_PATH } from '../handshake/handshake.ts';
import { HandshakeRefusal } from '../handshake/handshake-refusal.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { HTTP_PROBLEMS, HttpProblem, sendJson, sendProblem, sendRefusal } from './http-problem.ts';
import type { MessagePosts } from './post-messages.ts';

/** The part of the handshake admission that plain requests need. */
interface RequestAdmission {
  /** Whether this gateway drains or is about to. */
  readonly isLeaving: boolean;
  /** @throws {HandshakeRefusal} */
  admitRequest(request: IncomingMessage): Promise<Credentials>;
  /** @throws {HandshakeRefusal} when no further connection would get a place. */
  checkPlace(): void;
}

export interface HttpApiOptions {
  readonly admission: RequestAdmission;
  readonly posts: MessagePosts;
  readonly metrics: GatewayMetrics;
  readonly random: () => number;
  readonly log: Logger;
}

const PATHS = {
  '/v1/messages': ['POST'],
  '/v1/check': ['GET', 'HEAD'],
  '/healthz': ['GET', 'HEAD'],
} as const;

/** Plain HTTP on the port of the WebSocket: messages in batches, a token's check, and a health path for load balancers. */
export class HttpApi {
  readonly #options: HttpApiOptions;

  constructor(options: HttpApiOptions) {
    this.#options = options;
  }

  /** Resolves when no request is being answered. */
  idle(): Promise<void> {
    return this.#options.posts.idle();
  }

  /** Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      this.#refuse(response, error);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { admission, posts } = this.#options;
    // What a load balancer keeps open for later requests would be cut under one of them.
    if (admission.isLeaving) response.setHeader('connection', 'close');
    const path = pathOf(request);
    if (path === STREAM_PATH) {
      throw new HandshakeRefusal('upgrade_required', 'this is a WebSocket endpoint: send an upgrade');
    }
    const methods = Object.hasOwn(PATHS, path) ? PATHS[path as keyof typeof PATHS] : undefined;
    if (!methods) {
      const allowed = [STREAM_PATH, ...Object.keys(PATHS)].join(', ');
      throw new HandshakeRefusal('not_found', `there is no ${path.slice(0, 100)} here; allowed are ${allowed}`);
    }
    if (!(methods as readonly string[]).includes(request.method ?? '')) {
      throw new HttpProblem(
        'method_not_allowed',
        `${path} does not take ${request.method}; allowed is ${methods.join(', ')}`,
      );
    }
    if (path === '/healthz') {
      const { isLeaving } = admission;
      sendJson(response, isLeaving ? 503 : 200, { status: isLeaving ? 'draining' : 'ok' });
      return;
    }
    const credentials = await admission.admitRequest(request);
    if (path === '/v1/check') {
      admission.checkPlace();
      response.writeHead(204).end();
      return;
    }
    sendJson(response, 200, { results: await posts.take(request, credentials) });
  }

  #refuse(response: ServerResponse, error: unknown): void {
    const { metrics, random, log } = this.#options;
    if (response.headersSent || response.destroyed) return;
    if (error instanceof HandshakeRefusal) {
      metrics.handshake(error.code);
      // A body that was not read is not waited for.
      response.setHeader('connection', 'close');
      sendRefusal(response, error, random);
    } else if (error instanceof HttpProblem) {
      if (HTTP_PROBLEMS[error.code] === 405) response.setHeader('allow', 'GET, HEAD, POST');
      sendProblem(response, error);
    } else {
      log.error({ err: messageOf(error) }, 'a request could not be answered');
      sendJson(response, 500, { code: 'internal', message: 'internal error' }, { connection: 'close' });
    }
  }
}
