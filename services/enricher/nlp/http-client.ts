import { Client, type Dispatcher } from 'undici';
import { messageOf } from '../../core/errors.ts';
import type { Cancellation } from './cancellation.ts';
import { NlpError } from './nlp-errors.ts';

export interface HttpClientOptions {
  readonly origin: string;
  /** Connections at most: about what is to be in flight. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpResponse {
  readonly status: number;
  /** The header as it came: seconds, or an HTTP date. */
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** A response of this size is no analysis. */
const MAX_RESPONSE_BYTES = 1 << 20;
/** Below the keep-alive of any usual server (Node 5 s, nginx 75 s, AWS ALB 60 s), so that we close first. */
const KEEP_ALIVE_MS = 4_000;

/**
 * POSTs over HTTP/1.1, one request a connection at a time. The connections are undici `Client`s on a stack of our own:
 * its `Pool` looks for a free one from the first on at every request, which at 2,000 in flight costs more than the request,
 * and the last one used is the one least likely to be closed by the server.
 *
 * There is no time-out of an answer here: the policy cancels an attempt that takes too long.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #idle: Client[] = [];
  readonly #all = new Set<Client>();
  /** Requests without a connection; bounded by the permits of the limiter. */
  #waiting: Exchange[] = [];

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** @throws {NlpError} `connection`, or `timeout` when it was cancelled. */
  post(
    path: string,
    body: string | Buffer,
    cancellation?: Cancellation,
    headers?: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(this, path, body, resolve, reject);
      if (headers) exchange.headers = headers;
      if (cancellation) cancellation.onCancel = () => exchange.abort();
      const client = this.#idle.pop() ?? this.#connect();
      if (client) this.#dispatch(client, exchange);
      else this.#waiting.push(exchange);
    });
  }

  async close(): Promise<void> {
    for (const exchange of this.#waiting.splice(0)) exchange.abort();
    await Promise.all([...this.#all].map((client) => client.destroy()));
  }

  /** The exchange on `client` is over: the next may have its connection. */
  release(client: Client): void {
    for (;;) {
      const next = this.#waiting.shift();
      if (!next) {
        this.#idle.push(client);
        return;
      }
      if (next.isSettled) continue;
      this.#dispatch(client, next);
      return;
    }
  }

  #connect(): Client | undefined {
    if (this.#all.size >= this.#options.connections) return undefined;
    const client = new Client(this.#options.origin, {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: { timeout: this.#options.connectTimeoutMs },
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: MAX_RESPONSE_BYTES,
    });
    this.#all.add(client);
    return client;
  }

  #dispatch(client: Client, exchange: Exchange): void {
    exchange.client = client;
    const { headers: common } = this.#options;
    const headers = exchange.headers ? { ...common, ...exchange.headers } : common;
    client.dispatch({ method: 'POST', path: exchange.path, body: exchange.body, headers }, exchange);
  }
}

const ABORTED = new Error('aborted');

/** One request and its response, as undici tells of it. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly path: string;
  readonly body: string | Buffer;
  /** Besides those that go with every request. */
  headers: Readonly<Record<string, string>> | undefined;
  client: Client | undefined;
  readonly #owner: HttpClient;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (error: NlpError) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #status = 0;
  #retryAfter: string | undefined;
  #first: Buffer | undefined;
  #rest: Buffer[] | undefined;

  constructor(
    owner: HttpClient,
    path: string,
    body: string | Buffer,
    resolve: (response: HttpResponse) => void,
    reject: (error: NlpError) => void,
  ) {
    this.#owner = owner;
    this.path = path;
    this.body = body;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get isSettled(): boolean {
    return this.#settled;
  }

  /** Rejects at once; a connection with a request on it is closed, one that is still opened is used by the next. */
  abort(): void {
    this.#fail('timeout', 'no answer in time', undefined);
    this.#controller?.abort(ABORTED);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(ABORTED);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    this.#status = status;
    const retryAfter = headers['retry-after'];
    if (retryAfter !== undefined) this.#retryAfter = String(retryAfter);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#first === undefined) this.#first = chunk;
    else {
      this.#rest ??= [this.#first];
      this.#rest.push(chunk);
    }
  }

  onResponseEnd(): void {
    if (!this.#settled) {
      this.#settled = true;
      const bytes = this.#rest ? Buffer.concat(this.#rest) : this.#first;
      this.#resolve({ status: this.#status, retryAfter: this.#retryAfter, body: bytes?.toString('utf8') ?? '' });
    }
    this.#release();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#fail('connection', messageOf(error), error);
    this.#release();
  }

  #fail(code: 'timeout' | 'connection', message: string, cause: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#reject(new NlpError('failed', code, message, { cause }));
  }

  #release(): void {
    if (this.client) this.#owner.release(this.client);
    this.client = undefined;
  }
}
