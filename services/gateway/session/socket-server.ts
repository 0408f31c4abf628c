import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { messageOf, ParleyError } from '../../core/errors.ts';
import { CLOSE_CODES } from '../../core/wire-codes.ts';
import { within } from '../../core/within.ts';
import { hardFrameLimit } from '../config.ts';
import { SUBPROTOCOL } from '../handshake/handshake.ts';
import type { AdmittedHandshake, HandshakeAdmission } from '../handshake/handshake-admission.ts';
import { HandshakeRefusal } from '../handshake/handshake-refusal.ts';
import { PendingSockets } from '../handshake/pending-sockets.ts';
import { answerRefusal } from '../handshake/refusal-answer.ts';
import type { Revocation } from '../handshake/revocation.ts';
import type { TrustedProxies } from '../handshake/trusted-proxies.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { type Certificate, ConnectionFront } from '../network/connection-front.ts';
import type { WatchedFiles } from '../network/watched-files.ts';
import { Session, type SessionDeps } from './session.ts';
import {
  depart,
  departureOf,
  disconnect,
  endRevoked,
  type GoawayRequest,
  type Selector,
  sample,
  sendAway,
} from './session-control.ts';

/** Brings insights to the sockets that asked for them. */
export interface InsightDelivery {
  /**
   * @param resumes sessions that this one continues; undefined where its client does not say.
   * @returns what ends it, when the socket is gone.
   */
  open(
    session: Pick<Session, 'id' | 'credentials' | 'outbox' | 'heardSince'>,
    resumes: readonly string[] | undefined,
  ): () => void;
}

/** Answers what is no WebSocket. */
interface PlainRequests {
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Resolves when no request is being answered. */
  idle(): Promise<void>;
}

export interface SocketServerOptions {
  readonly host: string;
  readonly port: number;
  /** Listen beside other processes on the same port; the system deals connections out among them. */
  readonly reusePort: boolean;
  readonly admission: HandshakeAdmission;
  readonly revocation: Revocation;
  readonly proxies: TrustedProxies;
  /** Whether each connection begins with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean;
  /** Undefined for connections without TLS. */
  readonly certificate: WatchedFiles<Certificate> | undefined;
  /** TCP connections of this process, those without a session included. */
  readonly maxSockets: number;
  /** Bytes of frames that are not whole yet, of all sockets together. */
  readonly maxReceivingBytes: number;
  readonly handshakeTimeoutMs: number;
  /** Longest time over which goaways are spread when the process ends. */
  readonly reconnectSpreadMs: number;
  /** How long a session that was sent away has to leave by itself. */
  readonly handoverMs: number;
  readonly drainTimeoutMs: number;
  readonly session: SessionDeps;
  readonly insights: InsightDelivery;
  readonly api: PlainRequests;
}

const TICK_MS = 1_000;
/** How long a peer may take to answer our close frame before the connection is cut. */
const CLOSE_TIMEOUT_MS = 2_000;
const KEEP_ALIVE_MS = 5_000;
/** Beside the handshake's own bound: the time in which Node answers 408 itself. */
const PENDING_MARGIN_MS = 5 * TICK_MS;
/** Share of a process's sockets that may be without a session: it always has room for some. */
const PENDING_SHARE = 0.25;
/** Refusals logged a second at most, so that a flood of bad tokens is no flood of log lines. All are counted. */
const LOGGED_REFUSALS_PER_S = 20;

/** Accepts WebSockets, owns their sessions, and lets them go again. */
export class SocketServer {
  readonly #options: SocketServerOptions;
  readonly #http: Server;
  /** Before the HTTP server where connections need more than HTTP. */
  readonly #front: ConnectionFront | undefined;
  /** What listens: the front, else the HTTP server itself. */
  readonly #listener: NetServer;
  readonly #sockets: WebSocketServer;
  readonly #sessions = new Set<Session>();
  readonly #pending: PendingSockets;
  readonly #refusalLog: TokenBucket;
  readonly #ticker: NodeJS.Timeout;
  #onEmpty: (() => void) | undefined;

  private constructor(options: SocketServerOptions) {
    this.#options = options;
    const { clock, rules } = options.session;
    this.#refusalLog = new TokenBucket(LOGGED_REFUSALS_PER_S, LOGGED_REFUSALS_PER_S, clock.monotonicMs());
    const { handshakeTimeoutMs, maxSockets } = options;
    this.#pending = new PendingSockets({
      max: Math.max(1, Math.floor(maxSockets * PENDING_SHARE)),
      maxAgeMs: handshakeTimeoutMs + PENDING_MARGIN_MS,
      clock,
      onDropped: () => options.session.metrics.handshake('dropped'),
    });
    this.#http = createServer({
      headersTimeout: handshakeTimeoutMs,
      requestTimeout: handshakeTimeoutMs,
      // Node's default looks for late requests only every 30 s.
      connectionsCheckingInterval: Math.min(handshakeTimeoutMs, TICK_MS),
      keepAliveTimeout: KEEP_ALIVE_MS,
    });
    // `maxConnections` stays below the open-file limit, so that accept never fails for want of a file. Without
    // `dropMaxConnection`, which the published types lack, full workers would hand a connection round for ever.
    this.#front = options.proxyProtocol || options.certificate ? this.#createFront() : undefined;
    this.#listener = this.#front?.server ?? this.#http;
    Object.assign(this.#listener, { maxConnections: maxSockets, dropMaxConnection: true });
    this.#listener.on('drop', () => options.session.metrics.handshake('dropped'));
    if (!this.#front) this.#http.on('connection', (socket: Socket) => this.#pending.add(socket));
    this.#http.on('request', (request, response) => {
      this.#pending.renew(request.socket, true);
      response.once('close', () => this.#pending.renew(request.socket, false));
      void options.api.answer(request, response);
    });
    this.#http.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    // `closeTimeout` is not in the published types yet.
    const socketOptions: ServerOptions & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      maxPayload: hardFrameLimit(rules.limits),
      // Answered by the session, which knows whether the peer reads.
      autoPong: false,
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
    await options.revocation.ready();
    try {
      await server.#listen();
    } catch (error) {
      clearInterval(server.#ticker);
      await options.revocation.close();
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const message = `GATEWAY_PORT ${options.port} on ${options.host} is taken by another process`;
      throw new ParleyError('PORT_IN_USE', message, { cause: error });
    }
    return server;
  }

  get connections(): number {
    return this.#sessions.size;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Takes no further connections; open ones go on. */
  stopListening(): void {
    if (this.#listener.listening) this.#listener.close();
  }

  /** Ends the selected sessions, which may come back. @returns how many */
  disconnect(selector: Selector): number {
    return this.#countEnded(disconnect(this.#sessions, selector));
  }

  /** Says goaway to a share of the selected sessions. @returns to how many */
  sendAway(request: GoawayRequest): number {
    const { handoverMs, session } = this.#options;
    return this.#countEnded(sendAway(this.#sessions, request, { handoverMs, random: session.random }));
  }

  #countEnded(sessions: number): number {
    for (let i = 0; i < sessions; i++) this.#options.session.metrics.ended('operator');
    return sessions;
  }

  /** From now on the health path answers 503, so that load balancers send nothing new; whoever comes is still let in. */
  announceDrain(): void {
    this.#options.admission.announceShut();
  }

  /**
   * Refuses handshakes with 503, says goaway to every session and resolves when all have finished what was in flight
   * and are closed; after the drain bound the rest is cut.
   */
  async drain(): Promise<void> {
    this.#options.admission.shut();
    const { reconnectSpreadMs: spreadMs, handoverMs, drainTimeoutMs: boundMs, session } = this.#options;
    const { size } = this.#sessions;
    const departure = departureOf(size, { spreadMs, handoverMs, boundMs });
    depart(sample([...this.#sessions], size, session.random), departure, session.random);
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#sessions.size === 0) resolve();
    });
    await within(boundMs, Promise.all([empty, this.#options.api.idle()]), () => undefined);
    clearInterval(this.#ticker);
    for (const each of this.#sessions) each.cut();
    this.#pending.destroyAll();
    await this.#options.revocation.close();
    this.#http.closeAllConnections();
    if (this.#front) this.#http.close();
    if (this.#listener.listening) await new Promise((resolve) => this.#listener.close(resolve));
  }

  #createFront(): ConnectionFront {
    const { proxies, proxyProtocol, certificate, handshakeTimeoutMs, session } = this.#options;
    // Node's HTTP server looks for late requests from this event on, and is never the one that listens here.
    this.#http.emit('listening');
    return new ConnectionFront({
      proxyProtocol,
      certificate,
      handshakeTimeoutMs,
      trusts: (address) => proxies.trusts(address),
      onConnection: (socket) => this.#pending.add(socket),
      onReady: (socket, transport, source) => {
        if (source !== undefined) proxies.note(socket, source);
        this.#pending.remove(transport);
        this.#pending.add(socket, source ?? socket.remoteAddress);
        this.#http.emit('connection', socket);
      },
      onRefused: (problem) => {
        session.metrics.handshake('dropped');
        session.log.debug({ problem }, 'a connection was refused before its request');
      },
    });
  }

  #listen(): Promise<void> {
    const { port, host, reusePort } = this.#options;
    return new Promise((resolve, reject) => {
      this.#listener.once('error', reject);
      // A restart lets thousands reconnect at once; the system caps the backlog at its own bound.
      this.#listener.listen({ port, host, reusePort, backlog: 4_096 }, () => {
        this.#listener.off('error', reject);
        this.#listener.on('error', (error) => {
          this.#options.session.log.error({ err: messageOf(error) }, 'a connection could not be accepted');
        });
        resolve();
      });
    });
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const onError = () => socket.destroy();
    socket.on('error', onError);
    try {
      const admitted = await this.#options.admission.admit(request, socket);
      if (socket.destroyed) return;
      socket.off('error', onError);
      this.#pending.remove(request.socket);
      const bytesRead = () => request.socket.bytesRead;
      this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#open(opened, admitted, bytesRead));
    } catch (error) {
      this.#refuse({ request, socket, head }, error);
    }
  }

  #open(
    webSocket: WebSocket,
    { credentials, insights, resumes, giveUpPlace }: AdmittedHandshake,
    bytesRead: () => number,
  ): void {
    const { session: deps } = this.#options;
    let oversize = false;
    webSocket.on('error', (error: Error & { code?: string }) => {
      oversize ||= error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
      deps.log.debug({ err: error.message }, 'a socket failed');
    });
    const id = randomUUID();
    const session = new Session({ id, socket: webSocket, credentials, insights, bytesRead, giveUpPlace }, deps);
    this.#sessions.add(session);
    // Its credentials may have been revoked while the handshake waited for its place.
    this.#endIfRevoked(session);
    const endInsights = insights ? this.#options.insights.open(session, resumes) : undefined;
    deps.metrics.handshake('accepted');
    deps.log.debug({ session: session.id, tenant: credentials.tenant, bot: credentials.bot }, 'session opened');
    webSocket.on('close', (code) => {
      this.#sessions.delete(session);
      endInsights?.();
      session.ended(oversize);
      deps.log.debug({ session: session.id, code }, 'session closed');
      if (this.#sessions.size === 0) this.#onEmpty?.();
    });
  }

  #refuse(handshake: { request: IncomingMessage; socket: Duplex; head: Buffer }, error: unknown): void {
    const { metrics, log, clock, random } = this.#options.session;
    if (!(error instanceof HandshakeRefusal)) {
      log.error({ err: messageOf(error) }, 'a handshake failed');
      handshake.socket.destroy();
      return;
    }
    metrics.handshake(error.code);
    if (this.#refusalLog.available(clock.monotonicMs()) >= 1) {
      this.#refusalLog.take();
      const from = this.#options.admission.sourceOf(handshake.request);
      log.warn({ code: error.code, from, detail: error.detail }, 'handshake refused');
    }
    answerRefusal(handshake, error, { sockets: this.#sockets, random });
  }

  #endIfRevoked(session: Session): void {
    const why = this.#options.revocation.find(session.credentials);
    if (!why) return;
    this.#options.session.metrics.ended(why);
    endRevoked(session, why);
  }

  #tick(): void {
    const { clock } = this.#options.session;
    if (this.#options.revocation.refresh()) for (const session of this.#sessions) this.#endIfRevoked(session);
    const nowMs = clock.monotonicMs();
    const nowEpochMs = clock.now();
    let receiving = 0;
    let largest: Session | undefined;
    for (const session of this.#sessions) {
      session.tick(nowMs, nowEpochMs);
      receiving += session.receivingBytes;
      if (session.receivingBytes > (largest?.receivingBytes ?? 0)) largest = session;
    }
    // One a second is enough: what has been read only grows as fast as the network brings it.
    if (receiving > this.#options.maxReceivingBytes) largest?.close(CLOSE_CODES.overloaded, 'unfinished frames');
    this.#pending.sweep();
    this.#front?.refresh();
  }
}
