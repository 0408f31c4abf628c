import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../core/errors.ts';
import { type GuardOptions, HttpGuard } from './http-guard.ts';
import { answerQuery, type QueryHandlerOptions } from './query-handler.ts';

export interface HttpServerOptions extends QueryHandlerOptions, GuardOptions {
  readonly keepAliveTimeoutMs: number;
  readonly maxConnections: number;
}

/** For the whole of a request's body: a streamed insert may take its time. */
const REQUEST_TIMEOUT_MS = 3_600_000;
const TEXT = { 'content-type': 'text/plain; charset=UTF-8' };

/** The part of the HTTP interface around the queries: who may call, and the few paths there are. */
export function createHttpServer(options: HttpServerOptions): Server {
  const guard = new HttpGuard(options);
  const server = createServer({ keepAlive: true, requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    // Sockets that break are seen as `close`; without listeners their errors would end the process.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    void handle(options, guard, request, response).catch((error: unknown) => fail(response, error));
  });
  server.keepAliveTimeout = options.keepAliveTimeoutMs;
  server.maxConnections = options.maxConnections;
  return server;
}

/** What is wrong in this process itself: whatever it is, it ends in an answer or a closed connection. */
function fail(response: ServerResponse, error: unknown): void {
  try {
    if (!response.headersSent) response.writeHead(500, TEXT);
    response.end(`Code: 1001. DB::Exception: ${messageOf(error)} (STD_EXCEPTION)\n`);
  } catch {
    response.destroy();
  }
}

async function handle(
  options: HttpServerOptions,
  guard: HttpGuard,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = HttpGuard.target(request);
  if (url === undefined) {
    response.writeHead(400, TEXT).end('The target of a request is a path that begins with one slash.\n');
    return;
  }
  const refusal = guard.refusal(request);
  if (refusal) {
    response.writeHead(refusal.status, TEXT).end(refusal.text);
    return;
  }
  guard.allowOrigin(request, response);
  response.setHeader('X-ClickHouse-Server-Display-Name', options.engine.displayName);
  if (request.method === 'OPTIONS') return guard.preflight(request, response);
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (reads && (url.pathname === '/ping' || url.pathname === '/replicas_status' || isBare(url))) {
    response.writeHead(200, TEXT).end('Ok.\n');
    return;
  }
  if (url.pathname !== '/' || !(reads || request.method === 'POST')) {
    const hint = 'Use / or /ping, with GET or POST';
    response.writeHead(404, TEXT).end(`There is no handle ${url.pathname}\n\n${hint}\n`);
    return;
  }
  await answerQuery(options, request, response, url.searchParams);
}

const isBare = (url: URL): boolean => url.pathname === '/' && !url.searchParams.has('query');
