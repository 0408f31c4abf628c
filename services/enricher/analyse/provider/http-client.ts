import type { Dispatcher } from 'undici';
import { messageOf } from '../../../core/errors.ts';
import type { Receiver } from '../callbacks.ts';
import type { Cancellation } from '../cancellation.ts';
import { NlpError } from '../nlp-errors.ts';
import type { BearerToken } from './bearer-token.ts';
import { type HttpConnectionOptions, openConnection } from './http-connection.ts';

export interface HttpClientOptions extends HttpConnectionOptions {
  /** Connections at most: about what is to be in flight. */
  readonly connections: number;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Asked for the `Authorization` header of each request; undefined: it is one of `headers`, or there is none. */
  readonly token?: BearerToken | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** The header as it came: seconds, or an HTTP date. */
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/**
 * POSTs over HTTP/1.1, one request a connection at a time. The connections are undici `Client`s on a stack of our own:
 * its `Pool` looks for a free one from the first on at every request, which at 2,000 in flight costs more than the request,
 * and the last one used is the one least likely to be closed by the server.
 *
 * There is no time-out of an answer here: the policy cancels an attempt that takes too long.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  /** Names and values in turn: undici would look up the keys of an object with every request. */
  readonly #headers: readonly string[];
  readonly #idle: Dispatcher[] = [];
  readonly #all = new Set<Dispatcher>();
  /** Requests without a connection; bounded by the permits of the limiter. */
  #waiting: Exchange[] = [];

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#headers = Object.entries(options.headers).flat();
  }

  /** Fails with an {@link NlpError}: `connection`, or `timeout` when it was cancelled. */
  post(
    path: string,
    body: string | Buffer,
    receiver: Receiver<HttpResponse>,
    cancellation?: Cancellation,
    headers?: Readonly<Record<string, string>>,
  ): void {
    const exchange = new Exchange(this, path, body, receiver);
    if (headers) exchange.headers = headers;
    if (cancellation) cancellation.target = exchange;
    const { token } = this.#options;
    if (token) void this.#postWith(token, exchange);
    else this.#send(exchange);
  }

  async #postWith(token: BearerToken, exchange: Exchange): Promise<void> {
    try {
      exchange.headers = { ...exchange.headers, authorization: await token.header() };
    } catch (error) {
      exchange.fail(error);
      return;
    }
    if (!exchange.isSettled) this.#send(exchange);
  }

  /** The API refused the credentials of a request. */
  unauthorized(): void {
    this.#options.token?.refused();
  }

  #send(exchange: Exchange): void {
    const client = this.#idle.pop() ?? this.#connect();
    if (client) this.#dispatch(client, exchange);
    else this.#waiting.push(exchange);
  }

  async close(): Promise<void> {
    for (const exchange of this.#waiting.splice(0)) exchange.abort();
    await Promise.all([...this.#all].map((client) => client.destroy()));
  }

  /** The exchange on `client` is over: the next may have its connection. */
  release(client: Dispatcher): void {
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

  #connect(): Dispatcher | undefined {
    if (this.#all.size >= this.#options.connections) return undefined;
    const client = openConnection(this.#options);
    this.#all.add(client);
    return client;
  }

  #dispatch(client: Dispatcher, exchange: Exchange): void {
    exchange.client = client;
    const { path, body } = exchange;
    const { origin, proxy } = this.#options;
    if (proxy) {
      // A proxy's headers are put among those of an object.
      const headers = { ...this.#options.headers, ...exchange.headers };
      client.dispatch({ origin, method: 'POST', path, body, headers }, exchange);
      return;
    }
    const headers = exchange.headers ? [...this.#headers, ...Object.entries(exchange.headers).flat()] : this.#headers;
    client.dispatch({ method: 'POST', path, body, headers: headers as string[] }, exchange);
  }
}

const ABORTED = new Error('aborted');
const FORGOTTEN: Receiver<HttpResponse> = { received: () => {}, failed: () => {} };

/** One request and its response: the handler of undici's events. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly path: string;
  body: string | Buffer;
  /** Besides those that go with every request. */
  headers: Readonly<Record<string, string>> | undefined;
  client: Dispatcher | undefined;
  readonly #owner: HttpClient;
  #receiver: Receiver<HttpResponse>;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #status = 0;
  #retryAfter: string | undefined;
  #first: Buffer | undefined;
  #rest: Buffer[] | undefined;

  constructor(owner: HttpClient, path: string, body: string | Buffer, receiver: Receiver<HttpResponse>) {
    this.#owner = owner;
    this.path = path;
    this.body = body;
    this.#receiver = receiver;
  }

  get isSettled(): boolean {
    return this.#settled;
  }

  /** Fails at once; a connection with a request on it is closed, one that is still opened is used by the next. */
  abort(): void {
    const controller = this.#controller;
    this.fail(new NlpError('failed', 'timeout', 'no answer in time'));
    controller?.abort(ABORTED);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled) controller.abort(ABORTED);
    else this.#controller = controller;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    this.#status = status;
    if (status === 401) this.#owner.unauthorized();
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
    const receiver = this.#receiver;
    const isWanted = !this.#settled;
    const bytes = this.#rest ? Buffer.concat(this.#rest) : this.#first;
    const response = { status: this.#status, retryAfter: this.#retryAfter, body: bytes?.toString('utf8') ?? '' };
    this.#settle();
    // The connection first: the receiver's next request is best made on it.
    this.#release();
    if (!isWanted) return;
    try {
      receiver.received(response);
    } catch (error) {
      // Kept from undici, which would take it for a broken connection.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    this.fail(new NlpError('failed', 'connection', messageOf(error), { cause: error }));
    this.#release();
  }

  fail(error: unknown): void {
    if (this.#settled) return;
    const receiver = this.#receiver;
    this.#settle();
    // Later, since undici may refuse a request while it is handed over, and a provider never answers from within.
    queueMicrotask(() => receiver.failed(error));
  }

  /**
   * undici and its controller know an exchange for longer than it lasts. Once old, in the garbage collector's terms, it would
   * keep all that is younger alive: the response, and the message that it was for.
   */
  #settle(): void {
    this.#settled = true;
    if (this.#controller) this.#controller.rawHeaders = [];
    this.#controller = undefined;
    this.#receiver = FORGOTTEN;
    this.#first = undefined;
    this.#rest = undefined;
    this.body = '';
  }

  #release(): void {
    if (this.client) this.#owner.release(this.client);
    this.client = undefined;
  }
}
