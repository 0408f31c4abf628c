import { messageOf } from '../core/errors.ts';
import { CLOSE_CODES } from '../core/wire-codes.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { ParleyClientError } from './errors.ts';
import type { ServerFrame, WelcomeLimits } from './frames.ts';
import type { Connection, Transport, TransportEnd } from './transport.ts';

export interface LinkOptions {
  readonly url: string;
  readonly transport: Transport;
  readonly token: () => string | Promise<string>;
  /** Whether `token` may give another one next time. */
  readonly renewable: boolean;
  readonly backoff: BackoffOptions;
}

export interface LinkEvents {
  opened(limits: WelcomeLimits): void;
  frame(frame: ServerFrame): void;
  /** The session is over; another will be tried unless `failed` follows. */
  lost(): void;
  /** No further session will be tried. */
  failed(error: ParleyClientError): void;
  /** The session is ended for one with another token. */
  renewing(): void;
  /** Whether messages wait for an answer: then silence is a fault even where pings can not be seen. */
  expectsAnswer(): boolean;
}

type Timer = ReturnType<typeof setTimeout>;
type Phase =
  | { readonly name: 'waiting'; readonly timer: Timer }
  | { readonly name: 'connecting'; readonly connection: Connection | undefined }
  | { readonly name: 'open'; readonly connection: Connection; readonly openedAtMs: number }
  | { readonly name: 'closed' };

const WELCOME_TIMEOUT_MS = 10_000;
/** A session that lasted this long was a good one: the next failure starts the backoff anew. */
const STABLE_MS = 10_000;
const MAX_AUTH_REFUSALS = 3;
const NORMAL = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** How long a session whose token is about to expire waits for the answers to what it sent. */
const RENEW_DRAIN_MS = 2_000;

/** Keeps one session with the gateway open: connects, watches for signs of life, comes back after a loss. */
export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #backoff: Backoff;
  #phase: Phase = { name: 'closed' };
  #watch: Timer | undefined;
  #aliveAtMs = 0;
  #goawayDelayMs: number | undefined;
  #authRefusals = 0;
  #renewTimer: Timer | undefined;
  /** The token of the present session, and the one that will be used next. */
  #token: string | undefined;
  #nextToken: string | undefined;
  #lastProblem: string | undefined;
  #onClosed: (() => void) | undefined;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#backoff = new Backoff(options.backoff);
  }

  /** Whether frames may be sent: a session is open and has not said goodbye. */
  get isOpen(): boolean {
    return this.#phase.name === 'open' && this.#goawayDelayMs === undefined;
  }

  /** Why the last connection ended or did not come about, in words. */
  get lastProblem(): string | undefined {
    return this.#lastProblem;
  }

  start(): void {
    void this.#connect();
  }

  send(data: string): void {
    if (this.#phase.name === 'open') this.#phase.connection.send(data);
  }

  /**
   * The token expires in `inMs`. Where there may be another: some time before (drawn at random, since thousands of tokens
   * may end at once) it is asked for, and the session handed over when nothing waits for its answer.
   */
  renew(inMs: number): void {
    if (!this.#options.renewable) return;
    clearTimeout(this.#renewTimer);
    const delayMs = (this.#options.backoff.random() * inMs) / 2;
    this.#renewTimer = setTimeout(() => void this.#prepareRenewal(), delayMs);
  }

  /** A message was answered: what waits for that may go on. */
  settled(): void {
    if (this.#nextToken !== undefined && !this.#events.expectsAnswer()) this.#endForRenewal();
  }

  /** Ends the session and comes back for no other; resolves when the socket is gone. */
  async close(): Promise<void> {
    const phase = this.#phase;
    this.#phase = { name: 'closed' };
    clearTimeout(this.#watch);
    clearTimeout(this.#renewTimer);
    if (phase.name === 'waiting') clearTimeout(phase.timer);
    if (phase.name === 'connecting') phase.connection?.terminate();
    if (phase.name !== 'open') return;
    const { connection } = phase;
    const gone = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    const timer = setTimeout(() => connection.terminate(), CLOSE_TIMEOUT_MS);
    connection.close(NORMAL, 'done');
    await gone;
    clearTimeout(timer);
  }

  async #connect(): Promise<void> {
    const attempt: Phase = { name: 'connecting', connection: undefined };
    this.#phase = attempt;
    this.#goawayDelayMs = undefined;
    let token: string;
    try {
      token = this.#nextToken ?? (await this.#options.token());
      this.#nextToken = undefined;
    } catch (error) {
      this.#lastProblem = `no token: ${messageOf(error)}`;
      if (this.#phase === attempt) this.#reconnectIn(this.#backoff.next());
      return;
    }
    if (this.#phase !== attempt) return;
    this.#token = token;
    this.#aliveAtMs = performance.now();
    let ended = false;
    const connection = this.#options.transport.open(this.#options.url, token, {
      frame: (data) => this.#onFrame(connection, data),
      alive: () => {
        this.#aliveAtMs = performance.now();
      },
      closed: (end) => {
        ended = true;
        this.#onEnd(end);
      },
    });
    if (ended) return;
    this.#phase = { name: 'connecting', connection };
    this.#watch = setTimeout(() => connection.terminate(), WELCOME_TIMEOUT_MS);
  }

  async #prepareRenewal(): Promise<void> {
    const phase = this.#phase;
    let token: string;
    try {
      token = await this.#options.token();
    } catch (error) {
      // The session lives on to the token's end; then another is asked for again.
      this.#lastProblem = `no token: ${messageOf(error)}`;
      return;
    }
    if (this.#phase !== phase || !this.isOpen || token === this.#token) return;
    this.#nextToken = token;
    // Nothing new is sent from here on, and the next connection follows at once.
    this.#goawayDelayMs = 0;
    this.#events.renewing();
    if (!this.#events.expectsAnswer()) this.#endForRenewal();
    else this.#renewTimer = setTimeout(() => this.#endForRenewal(), RENEW_DRAIN_MS);
  }

  #endForRenewal(): void {
    clearTimeout(this.#renewTimer);
    if (this.#phase.name === 'open') this.#phase.connection.close(NORMAL, 'token renewal');
  }

  #onFrame(connection: Connection, data: string): void {
    this.#aliveAtMs = performance.now();
    const frame = parse(data);
    if (!frame) {
      // Not a gateway of ours, or a proxy that meddles: another connection may be luckier.
      connection.terminate();
      return;
    }
    if (frame.type === 'welcome' && this.#phase.name === 'connecting') {
      this.#phase = { name: 'open', connection, openedAtMs: this.#aliveAtMs };
      this.#authRefusals = 0;
      this.#watchSilence(connection, frame.limits.ping_interval_ms);
      this.#events.opened(frame.limits);
      return;
    }
    if (frame.type === 'goaway') this.#goawayDelayMs = frame.reconnect_after_ms;
    this.#events.frame(frame);
  }

  /** A half-open connection never reports its end: two ping intervals without a sign of life are one. */
  #watchSilence(connection: Connection, pingIntervalMs: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      const silentMs = performance.now() - this.#aliveAtMs;
      const meaningful = this.#options.transport.seesPings || this.#events.expectsAnswer();
      if (meaningful && silentMs > 2 * pingIntervalMs) connection.terminate();
      else this.#watchSilence(connection, pingIntervalMs);
    }, pingIntervalMs);
  }

  #onEnd(end: TransportEnd): void {
    clearTimeout(this.#watch);
    clearTimeout(this.#renewTimer);
    const phase = this.#phase;
    if (phase.name === 'closed') {
      this.#onClosed?.();
      return;
    }
    if (phase.name === 'open') {
      if (performance.now() - phase.openedAtMs >= STABLE_MS) this.#backoff.reset();
      this.#events.lost();
    }
    this.#lastProblem = describe(end);
    const error = this.#finalErrorOf(end);
    if (error) {
      this.#phase = { name: 'closed' };
      this.#events.failed(error);
      return;
    }
    const backoffMs = this.#goawayDelayMs ?? this.#backoff.next();
    this.#reconnectIn(Math.max(backoffMs, end.refusal?.retryAfterMs ?? 0));
  }

  #reconnectIn(delayMs: number): void {
    this.#phase = { name: 'waiting', timer: setTimeout(() => void this.#connect(), delayMs) };
  }

  #finalErrorOf({ code, refusal }: TransportEnd): ParleyClientError | undefined {
    if (refusal) {
      const { status } = refusal;
      if (status === 408 || status === 425 || status === 429 || status >= 500) return undefined;
      const mayRenew = status === 401 && this.#options.renewable && ++this.#authRefusals < MAX_AUTH_REFUSALS;
      if (mayRenew) return undefined;
      const why = `the gateway refused the handshake with ${status} ${refusal.code}`;
      return new ParleyClientError('handshake_refused', why, refusal.code);
    }
    if (code === CLOSE_CODES.token_expired) {
      return this.#options.renewable
        ? undefined
        : new ParleyClientError('token_expired', 'the token has expired; give a tokenProvider to outlive it');
    }
    // 4000 to 4099: coming back would change nothing.
    if (code < 4_000 || code > 4_099) return undefined;
    return new ParleyClientError('connection_refused', `the gateway closed with ${code}`, String(code));
  }
}

function parse(data: string): ServerFrame | undefined {
  try {
    const frame = JSON.parse(data) as ServerFrame | null;
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    return undefined;
  }
}

function describe({ code, problem, refusal }: TransportEnd): string {
  if (refusal) return `the handshake was answered with ${refusal.status} ${refusal.code}`;
  return problem ?? `the connection ended with code ${code}`;
}
