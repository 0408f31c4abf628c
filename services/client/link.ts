import { Backoff, type BackoffOptions } from './backoff.ts';
import { delayMs } from './bounds.ts';
import { describeEnd, meaningOf } from './connection-end.ts';
import { ParleyClientError } from './errors.ts';
import type { ErrorFrame, ServerFrame, WelcomeLimits } from './frames.ts';
import { openGuarded } from './guarded-connection.ts';
import { parseFrame } from './parse-frame.ts';
import { SilenceWatch } from './silence-watch.ts';
import { askForToken, type TokenProvider } from './token-source.ts';
import type { Connection, Transport, TransportEnd } from './transport.ts';

export interface LinkOptions {
  readonly url: string;
  readonly transport: Transport;
  readonly token: TokenProvider;
  /** Whether `token` may give another one next time. */
  readonly renewable: boolean;
  readonly backoff: BackoffOptions;
  readonly answerTimeoutMs: number;
}

/** None of these may throw. */
export interface LinkEvents {
  opened(limits: WelcomeLimits): void;
  frame(frame: ServerFrame): void;
  /** The session is over; another will be tried unless `failed` follows. @param code of the close. */
  lost(code: number): void;
  /** No further session will be tried. */
  failed(error: ParleyClientError): void;
  /** Something went wrong; it is tried again. */
  problem(problem: ParleyClientError): void;
  /** The session is ended for one with another token. */
  renewing(): void;
  /** Whether messages wait for an answer. */
  expectsAnswer(): boolean;
}

type Timer = ReturnType<typeof setTimeout>;
type Phase =
  | { readonly name: 'waiting'; readonly timer: Timer }
  | { readonly name: 'asking' }
  | { readonly name: 'connecting'; readonly connection: Connection; told: ErrorFrame | undefined }
  | { readonly name: 'open'; readonly connection: Connection; readonly openedAtMs: number }
  | { readonly name: 'closed' };

const WELCOME_TIMEOUT_MS = 10_000;
/** A session that lasted this long was a good one: the next failure starts the backoff anew. */
const STABLE_MS = 10_000;
/** Below this a renewal is met with backoff: a gateway that warns at once, again and again, is not answered in a loop. */
const RENEWABLE_AFTER_MS = 1_000;
const MAX_AUTH_REFUSALS = 3;
const NORMAL = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** How long a session whose token is about to expire waits for the answers to what it sent. */
const RENEW_DRAIN_MS = 2_000;
/** How long a gateway that said goodbye may take to close; it answers what is in flight until then. */
const GOODBYE_TIMEOUT_MS = 60_000;
/** The longest that a client stays away because it was told to: a `Retry-After` of days is a mistake somewhere. */
const MAX_AWAY_MS = 300_000;

/** Keeps one session with the gateway open: connects, watches for signs of life, comes back after a loss. */
export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #backoff: Backoff;
  readonly #silence: SilenceWatch;
  #phase: Phase = { name: 'closed' };
  /** Ends a connection whose next step does not come. */
  #stepTimer: Timer | undefined;
  /** Set once the session has said goodbye, or is ended for another token: how long to stay away. */
  #leaving: { readonly forMs: number; readonly renewal: boolean } | undefined;
  #authRefusals = 0;
  #renewTimer: Timer | undefined;
  /** The token of the present session, and the one that will be used next. */
  #token: string | undefined;
  #nextToken: string | undefined;
  #lastProblem: string | undefined;
  #closed: Promise<void> | undefined;
  #onClosed: (() => void) | undefined;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#backoff = new Backoff(options.backoff);
    this.#silence = new SilenceWatch({
      seesPings: options.transport.seesPings,
      answerTimeoutMs: options.answerTimeoutMs,
      expectsAnswer: events.expectsAnswer,
    });
  }

  /** Whether frames may be sent: a session is open and has not said goodbye. */
  get isOpen(): boolean {
    return this.#phase.name === 'open' && this.#leaving === undefined;
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
    const inHalf = delayMs((this.#options.backoff.random() * inMs) / 2);
    this.#renewTimer = setTimeout(() => void this.#prepareRenewal(), inHalf);
  }

  /** A message was answered: what waits for that may go on. */
  answered(): void {
    this.#silence.answered();
    if (this.#nextToken !== undefined && !this.#events.expectsAnswer()) this.#endForRenewal();
  }

  /** Ends the session and comes back for no other; resolves when the socket is gone. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const phase = this.#phase;
    this.#phase = { name: 'closed' };
    this.#stopTimers();
    if (phase.name === 'waiting') clearTimeout(phase.timer);
    if (phase.name === 'connecting') phase.connection.terminate('closed by the caller');
    if (phase.name !== 'open') return;
    const { connection } = phase;
    const gone = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    const timer = setTimeout(() => connection.terminate('no answer to the goodbye'), CLOSE_TIMEOUT_MS);
    connection.close(NORMAL, 'done');
    await gone;
    clearTimeout(timer);
  }

  /** Never rejects. */
  async #connect(): Promise<void> {
    const asking: Phase = { name: 'asking' };
    this.#phase = asking;
    this.#leaving = undefined;
    let token: string;
    try {
      token = this.#nextToken ?? (await askForToken(this.#options.token));
      this.#nextToken = undefined;
    } catch (error) {
      if (this.#phase !== asking) return;
      this.#tell(error as ParleyClientError);
      this.#reconnectIn(this.#backoff.next());
      return;
    }
    if (this.#phase !== asking) return;
    this.#token = token;
    const connection = openGuarded(this.#options.transport, this.#options.url, token, {
      frame: (data) => this.#onFrame(connection, data),
      alive: () => this.#silence.heard(),
      closed: (end) => this.#onEnd(end),
    });
    this.#phase = { name: 'connecting', connection, told: undefined };
    this.#limitStep(connection, WELCOME_TIMEOUT_MS, 'no welcome');
  }

  /** Never rejects. */
  async #prepareRenewal(): Promise<void> {
    const phase = this.#phase;
    let token: string;
    try {
      token = await askForToken(this.#options.token);
    } catch (error) {
      // The session lives on to the token's end; then another is asked for again.
      this.#tell(error as ParleyClientError);
      return;
    }
    if (this.#phase !== phase || phase.name !== 'open' || !this.isOpen || token === this.#token) return;
    this.#nextToken = token;
    // Nothing new is sent from here on, and the next connection follows at once.
    const young = performance.now() - phase.openedAtMs < RENEWABLE_AFTER_MS;
    this.#leaving = { forMs: young ? this.#backoff.next() : 0, renewal: true };
    this.#events.renewing();
    if (!this.#events.expectsAnswer()) this.#endForRenewal();
    else this.#renewTimer = setTimeout(() => this.#endForRenewal(), RENEW_DRAIN_MS);
  }

  #endForRenewal(): void {
    clearTimeout(this.#renewTimer);
    if (this.#phase.name !== 'open') return;
    const { connection } = this.#phase;
    this.#limitStep(connection, CLOSE_TIMEOUT_MS, 'no answer to the goodbye');
    connection.close(NORMAL, 'token renewal');
  }

  #onFrame(connection: Connection, data: string): void {
    this.#silence.heard();
    const frame = parseFrame(data);
    const phase = this.#phase;
    if (!frame) {
      // Not a gateway of ours, or a proxy that meddles: another connection may be luckier.
      connection.terminate('the other end sent what is no frame of Parley');
    } else if (phase.name === 'connecting') {
      if (frame.type === 'welcome') this.#onWelcome(connection, frame.limits);
      else if (frame.type === 'error') phase.told = frame;
    } else if (phase.name === 'open') {
      if (frame.type === 'goaway' && this.#leaving === undefined) {
        this.#leaving = { forMs: frame.reconnect_after_ms, renewal: false };
        this.#limitStep(connection, GOODBYE_TIMEOUT_MS, 'a goodbye, and no end');
      }
      this.#events.frame(frame);
    }
  }

  #onWelcome(connection: Connection, limits: WelcomeLimits): void {
    clearTimeout(this.#stepTimer);
    this.#phase = { name: 'open', connection, openedAtMs: performance.now() };
    this.#authRefusals = 0;
    this.#silence.start(connection, limits.ping_interval_ms);
    this.#events.opened(limits);
  }

  #onEnd(end: TransportEnd): void {
    this.#stopTimers();
    const phase = this.#phase;
    if (phase.name === 'closed') {
      this.#onClosed?.();
      return;
    }
    const lastedMs = phase.name === 'open' ? performance.now() - phase.openedAtMs : 0;
    const told = phase.name === 'connecting' ? phase.told : undefined;
    const meaning = meaningOf(end, told);
    const error = this.#finalErrorOf(meaning);
    // Before the events, which may close this link.
    if (error) this.#phase = { name: 'closed' };
    else this.#reconnectIn(this.#delayAfter(lastedMs, meaning.kind === 'again' ? meaning.notBeforeMs : 0));
    if (!this.#leaving) this.#tell(new ParleyClientError('connection_lost', describeEnd(end, told)));
    if (phase.name === 'open') this.#events.lost(end.code);
    if (error) this.#events.failed(error);
  }

  #finalErrorOf(meaning: ReturnType<typeof meaningOf>): ParleyClientError | undefined {
    if (meaning.kind === 'again') return undefined;
    if (meaning.kind === 'final' || !this.#options.renewable) return meaning.error;
    this.#authRefusals += 1;
    return this.#authRefusals < MAX_AUTH_REFUSALS ? undefined : meaning.error;
  }

  /** What the gateway asks for, but never in a loop: a session that did not last is met with backoff, whatever it said. */
  #delayAfter(lastedMs: number, notBeforeMs: number): number {
    if (lastedMs >= STABLE_MS) this.#backoff.reset();
    const leaving = this.#leaving;
    if (leaving?.renewal) return leaving.forMs;
    const asked = Math.max(delayMs(notBeforeMs, MAX_AWAY_MS), delayMs(leaving?.forMs, MAX_AWAY_MS));
    return leaving && lastedMs >= STABLE_MS ? asked : Math.max(asked, this.#backoff.next());
  }

  #limitStep(connection: Connection, ms: number, what: string): void {
    clearTimeout(this.#stepTimer);
    this.#stepTimer = setTimeout(() => connection.terminate(`${what} within ${ms} ms`), ms);
  }

  #reconnectIn(afterMs: number): void {
    this.#phase = { name: 'waiting', timer: setTimeout(() => void this.#connect(), afterMs) };
  }

  #stopTimers(): void {
    clearTimeout(this.#stepTimer);
    clearTimeout(this.#renewTimer);
    this.#silence.stop();
  }

  #tell(problem: ParleyClientError): void {
    this.#lastProblem = problem.message;
    this.#events.problem(problem);
  }
}
