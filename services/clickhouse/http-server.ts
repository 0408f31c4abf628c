import { randomInt } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../core/errors.ts';
import { assertAllowed, authenticate, type User } from './access.ts';
import { RequestBody, type SpoolFile } from './body.ts';
import type { Engine } from './engine.ts';
import { ClickHouseException, fromEngine } from './exception.ts';
import type { Observer } from './observer.ts';
import { type QueryRequest, readRequest } from './request.ts';
import { chooseEncoding, contentType, QueryResponse, type Summary } from './response.ts';
import type { Runner } from './runner.ts';
import { readStatement, type Statement } from './statement.ts';

export interface HttpServerOptions {
  readonly engine: Engine;
  readonly runner: Runner;
  readonly users: ReadonlyMap<string, User>;
  readonly observe: Observer;
  readonly spoolDir: string;
  readonly maxBodyBytes: number;
  readonly sendTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxConnections: number;
}

/** A statement longer than this (an insert's data not counted) is refused; the engine's own bound is lower. */
const MAX_STATEMENT_BYTES = 1024 * 1024;
/** For the whole of a request's body: a streamed insert may take its time. */
const REQUEST_TIMEOUT_MS = 3_600_000;
const HOLD_BYTES = 256 * 1024;
const WAIT_END_HOLD_BYTES = 32 * 1024 * 1024;
const REFUSALS = {
  empty: ['SYNTAX_ERROR', 'Syntax error: Empty query'],
  multiple: ['SYNTAX_ERROR', 'Syntax error (Multi-statements are not allowed)'],
  outfile: ['UNKNOWN_TYPE_OF_QUERY', 'INTO OUTFILE is not allowed over HTTP'],
  infile: ['UNKNOWN_TYPE_OF_QUERY', 'Query has infile and was sent directly to the server'],
} as const;

const createTag = () => String.fromCharCode(...Array.from({ length: 16 }, () => 97 + randomInt(26)));

/** The part of the HTTP interface around the queries: routes, users, bodies, responses. */
export function createHttpServer(options: HttpServerOptions): Server {
  const server = createServer({ keepAlive: true, requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void handle(options, request, response);
  });
  server.keepAliveTimeout = options.keepAliveTimeoutMs;
  server.maxConnections = options.maxConnections;
  return server;
}

async function handle(options: HttpServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('X-ClickHouse-Server-Display-Name', options.engine.displayName);
  if (isForeign(request)) {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('Requests of other sites’ pages are refused.\n');
    return;
  }
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (reads && (url.pathname === '/ping' || url.pathname === '/replicas_status' || isBare(url))) {
    response.writeHead(200, { 'content-type': 'text/plain; charset=UTF-8' }).end('Ok.\n');
    return;
  }
  if (url.pathname !== '/' || !(reads || request.method === 'POST')) {
    const hint = 'Use / or /ping, with GET or POST';
    response.writeHead(404, { 'content-type': 'text/plain' }).end(`There is no handle ${url.pathname}\n\n${hint}\n`);
    return;
  }
  try {
    await answer(options, request, response, url.searchParams);
  } catch (error) {
    // Only what is wrong in this process itself comes here.
    if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
    response.end(`Code: 1001. DB::Exception: ${messageOf(error)} (STD_EXCEPTION)\n`);
  }
}

const isBare = (url: URL): boolean => url.pathname === '/' && !url.searchParams.has('query');

/** The default user has no password, so no page of another site in a browser of this machine may get here. */
function isForeign({ headers }: IncomingMessage): boolean {
  const { origin } = headers;
  if (origin === undefined) return headers['sec-fetch-site'] === 'cross-site';
  return !URL.canParse(origin) || !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(origin).hostname);
}

interface Progress {
  request: QueryRequest | undefined;
  statement: Statement | undefined;
  body: RequestBody | undefined;
  file: SpoolFile | undefined;
  summary: Summary | undefined;
  exception: ClickHouseException | undefined;
}

async function answer(
  options: HttpServerOptions,
  incoming: IncomingMessage,
  response: ServerResponse,
  url: URLSearchParams,
): Promise<void> {
  const started = performance.now();
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const exceptionTag = createTag();
  const open = (request?: QueryRequest) =>
    new QueryResponse(response, {
      encoding: request?.compress ? chooseEncoding(incoming.headers['accept-encoding']) : undefined,
      sendTimeoutMs: options.sendTimeoutMs,
      exceptionTag,
    });
  let result = open();
  const progress: Progress = {
    request: undefined,
    statement: undefined,
    body: undefined,
    file: undefined,
    summary: undefined,
    exception: undefined,
  };
  try {
    const request = readRequest(url, incoming.headers);
    progress.request = request;
    result = open(request);
    response.setHeader('X-ClickHouse-Query-Id', request.queryId);
    response.setHeader('X-ClickHouse-Timezone', options.engine.timezone);
    const summary = await runRequest(options, incoming, response, request, progress, result, gone.signal);
    progress.summary = summary;
    result.end(summary);
  } catch (error) {
    progress.exception = fromEngine(error).forUser(progress.request?.user ?? '');
    if (!incoming.complete) {
      await (progress.body ?? new RequestBody(incoming, options.maxBodyBytes, 'identity')).discard();
      response.setHeader('Connection', 'close');
    }
    if (!gone.signal.aborted)
      await result.fail(progress.exception, options.engine.version).catch(() => response.destroy());
  } finally {
    progress.file?.remove();
    options.observe({
      queryId: progress.request?.queryId ?? '',
      user: progress.request?.user ?? '',
      kind: progress.statement?.kind ?? 'refused',
      elapsedMs: performance.now() - started,
      bytesIn: progress.body?.bytes ?? 0,
      bytesOut: result.bytes,
      summary: progress.summary,
      exception: progress.exception,
    });
  }
}

async function runRequest(
  options: HttpServerOptions,
  incoming: IncomingMessage,
  response: ServerResponse,
  request: QueryRequest,
  progress: Progress,
  result: QueryResponse,
  signal: AbortSignal,
): Promise<Summary> {
  const user = authenticate(options.users, request.user, request.password);
  if (incoming.headers['content-type']?.startsWith('multipart/')) {
    throw new ClickHouseException(
      'NOT_IMPLEMENTED',
      'Multipart bodies are not supported here; put parameters in the URL',
    );
  }
  const body = new RequestBody(incoming, options.maxBodyBytes);
  progress.body = body;
  // Offsets into the statement are offsets into bytes: every byte is a character here.
  const inUrl = Buffer.from(request.query).toString('latin1');
  let statement = readStatement(inUrl, options.engine.isFormat);
  let first = Buffer.alloc(0);
  if (statement.kind === 'insert') first = dataAfter(inUrl, statement.dataAt);
  else {
    const { head, whole } = await body.head(MAX_STATEMENT_BYTES);
    const text = [inUrl, head.toString('latin1')].filter((part) => part !== '').join('\n');
    statement = readStatement(text, options.engine.isFormat);
    if (statement.kind === 'insert') first = dataAfter(text, statement.dataAt);
    else if (!whole && head.length >= MAX_STATEMENT_BYTES) {
      throw new ClickHouseException('QUERY_IS_TOO_LARGE', `A statement has at most ${MAX_STATEMENT_BYTES} bytes`);
    }
  }
  progress.statement = statement;
  if (statement.kind === 'refused') {
    const [type, text] = REFUSALS[statement.reason];
    throw new ClickHouseException(type, text);
  }
  const text = 'text' in statement ? statement.text : `${statement.head} ${statement.tail}`;
  assertAllowed(user, request, statement, text);
  if (incoming.method !== 'POST' && statement.kind !== 'result') {
    throw new ClickHouseException(
      'READONLY',
      'Cannot execute query in readonly mode: the method GET implies it; use POST',
    );
  }
  if (statement.kind === 'insert') {
    progress.file = await body.spool(options.spoolDir, createTag(), first);
  }
  const named = statement.kind === 'result' ? statement.format : undefined;
  const format = named ?? request.defaultFormat ?? 'TabSeparated';
  result.hold(/WithProgress$/i.test(format) ? 0 : request.waitEndOfQuery ? WAIT_END_HOLD_BYTES : HOLD_BYTES);
  response.setHeader('X-ClickHouse-Format', format);
  response.setHeader('Content-Type', contentType(format));
  return options.runner.run({ request, user, statement, format, dataFile: progress.file?.path, signal }, result);
}

/** The rows that follow the statement itself, after the spaces and the one line break that belong to it. */
function dataAfter(text: string, dataAt: number): Buffer<ArrayBuffer> {
  const blank = /[ \t\f]*\r?\n?/y;
  blank.lastIndex = dataAt;
  blank.test(text);
  return Buffer.from(text.slice(blank.lastIndex), 'latin1');
}
