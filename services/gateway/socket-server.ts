import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { messageOf, ParleyError } from '../core/errors.ts';
import type { Authenticate, Grant } from './auth.ts';
import { readHandshake, STREAM_PATH, SUBPROTOCOL } from './handshake.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import { Session, type SessionDeps } from './session.ts';
import { TokenBucket } from './token-bucket.ts';

/** Brings insights to the sockets that asked for them. */
export interface InsightDelivery {
  /** @returns what ends it, when the socket is gone. */
  open(session: { readonly id: string; readonly grant: Grant; readonly socket: WebSocket }): () => void;
}

interface Admission {
  readonly grant: Grant;
  readonly insights: boolean;
}

export interface SocketServerOptions {
  readonly host: string;
  readonly port: number;
  readonly authenticate: Authenticate;
  readonly allowedOrigins: readonly string[];
  readonly maxConnections: number;
  readonly reconnectSpreadMs: number;
  readonly drainTimeoutMs: number;
  readonly session: SessionDeps;
  readonly insights: InsightDelivery;
}

const TICK_MS = 1_000;
/** How long a peer may take to answer our close frame before the connection is cut. */
const CLOSE_TIMEOUT_MS = 2_000;
const RETRY_AFTER_S = 5;
/** Refusals logged a second: a flood of bad tokens must not become a flood of log lines. All are counted. */
const LOGGED_REFUSALS_PER_S = 20;

/** Accepts WebSockets, owns their sessions, and lets them go again. */
export class SocketServer {
  readonly #options: SocketServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #sessions = new Set<Session>();
  readonly #refusalLog: TokenBucket;
  readonly #ticker: NodeJS.Timeout;
  #handshakes = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  private constructor(options: SocketServerOptions) {
    this.#options = options;
    const { clock, limits } = options.session;
    this.#refusalLog = new TokenBucket(LOGGED_REFUSALS_PER_S, LOGGED_REFUSALS_PER_S, clock.monotonicMs());
    this.#http = createServer({ headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 });
    this.#http.on('request', (request, response) => {
      const path = (request.url ?? '/').split('?', 1)[0];
      const refusal =
        path === STREAM_PATH
          ? new HandshakeRefusal('upgrade_required', 'this is a WebSocket endpoint: send an upgrade')
          : new HandshakeRefusal('not_found', `there is no ${path} here; allowed is ${STREAM_PATH}`);
      options.session.metrics.handshake(refusal.code);
      response.writeHead(refusal.status, headersOf(refusal)).end(bodyOf(refusal));
    });
    this.#http.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    // `closeTimeout` is not in the published types yet.
    const socketOptions: ServerOptions & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      maxPayload: limits.max_frame_bytes,
      // 240 KB a connection against 10 without.
      perMessageDeflate: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
    };
    this.#sockets = new WebSocketServer(socketOptions);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** @throws {ParleyError} PORT_IN_USE */
  static async listen(options: SocketServerOptions): Promise<SocketServer> {
    const server = new SocketServer(options);
    try {
      await server.#listen();
    } catch (error) {
      clearInterval(server.#ticker);
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const told = `GATEWAY_PORT ${options.port} on ${options.host} is taken by another process`;
      throw new ParleyError('PORT_IN_USE', told, { cause: error });
    }
    return server;
  }

  get connections(): number {
    return this.#sessions.size;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /**
   * Refuses handshakes with 503, says goaway to every session and resolves when all have finished what was in flight
   * and are closed; after the drain bound the rest is cut.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    const { reconnectSpreadMs, drainTimeoutMs, session } = this.#options;
    for (const each of this.#sessions) each.drain(Math.floor(session.random() * reconnectSpreadMs));
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainTimeoutMs);
    });
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#sessions.size === 0) resolve();
    });
    await Promise.race([empty, bound]);
    clearTimeout(timer);
    clearInterval(this.#ticker);
    for (const each of this.#sessions) each.cut();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #listen(): Promise<void> {
    const { port, host } = this.#options;
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      // A restart lets thousands reconnect at once; the system caps the backlog at its own bound.
      this.#http.listen({ port, host, backlog: 4_096 }, () => {
        this.#http.off('error', reject);
        resolve();
      });
    });
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const onError = () => socket.destroy();
    socket.on('error', onError);
    this.#handshakes += 1;
    try {
      const admission = await this.#admit(request);
      if (socket.destroyed) return;
      socket.off('error', onError);
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, admission));
    } catch (error) {
      this.#refuse(request, socket, error);
    } finally {
      this.#handshakes -= 1;
    }
  }

  async #admit(request: IncomingMessage): Promise<Admission> {
    const { allowedOrigins, authenticate, maxConnections } = this.#options;
    this.#refuseWhenDraining();
    const { token, insights } = readHandshake(request, allowedOrigins);
    if (this.#sessions.size + this.#handshakes > maxConnections) {
      throw new HandshakeRefusal('too_many_connections', `this gateway has ${maxConnections} connections already`);
    }
    const grant = await authenticate(token);
    this.#refuseWhenDraining();
    return { grant, insights };
  }

  #refuseWhenDraining(): void {
    if (this.#draining) throw new HandshakeRefusal('draining', 'this gateway is shutting down');
  }

  #open(webSocket: WebSocket, { grant, insights }: Admission): void {
    const { session: deps } = this.#options;
    let oversize = false;
    webSocket.on('error', (error: Error & { code?: string }) => {
      oversize ||= error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
      deps.log.debug({ err: error.message }, 'a socket failed');
    });
    const session = new Session(randomUUID(), webSocket, grant, deps, insights);
    this.#sessions.add(session);
    const endInsights = insights
      ? this.#options.insights.open({ id: session.id, grant, socket: webSocket })
      : undefined;
    deps.metrics.handshake('accepted');
    deps.log.debug({ session: session.id, tenant: grant.tenant, bot: grant.bot }, 'session opened');
    webSocket.on('close', (code) => {
      this.#sessions.delete(session);
      endInsights?.();
      session.ended(oversize);
      deps.log.debug({ session: session.id, code }, 'session closed');
      if (this.#sessions.size === 0) this.#onEmpty?.();
    });
  }

  #refuse(request: IncomingMessage, socket: Duplex, error: unknown): void {
    const { metrics, log, clock } = this.#options.session;
    if (!(error instanceof HandshakeRefusal)) {
      log.error({ err: messageOf(error) }, 'a handshake failed');
      socket.destroy();
      return;
    }
    metrics.handshake(error.code);
    if (this.#refusalLog.available(clock.monotonicMs()) >= 1) {
      this.#refusalLog.take();
      const from = request.socket.remoteAddress;
      log.warn({ code: error.code, from, detail: error.detail }, 'handshake refused');
    }
    if (socket.destroyed) return;
    const body = bodyOf(error);
    const headers = { ...headersOf(error), connection: 'close', 'content-length': Buffer.byteLength(body) };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  }

  #tick(): void {
    const { clock } = this.#options.session;
    const nowMs = clock.monotonicMs();
    const nowEpochMs = clock.now();
    for (const session of this.#sessions) session.tick(nowMs, nowEpochMs);
  }
}

const bodyOf = ({ code, message }: HandshakeRefusal) => `${JSON.stringify({ code, message })}\n`;

function headersOf({ status }: HandshakeRefusal): Record<string, string | number> {
  return {
    'content-type': 'application/json',
    ...((status === 429 || status === 503) && { 'retry-after': RETRY_AFTER_S }),
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(status === 426 && { upgrade: 'websocket' }),
  };
}
