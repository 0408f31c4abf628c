import { ParleyClientError } from './errors.ts';
import type { ErrorFrame, ServerFrame, WelcomeLimits } from './frames.ts';
import { openGuarded } from './guarded-connection.ts';
import { parseFrame } from './parse-frame.ts';
import { askForToken, type TokenProvider } from './token-source.ts';
import type { Connection, Transport, TransportEnd } from './transport.ts';

export interface AttemptOptions {
  /** @param earlier the sessions before, the newest first. */
  readonly urlOf: (earlier: readonly string[]) => string;
  readonly transport: Transport;
  readonly token: TokenProvider;
}

/** How it ended: without a token to begin with, or by its connection. */
export type AttemptEnd =
  | { readonly kind: 'no-token'; readonly error: ParleyClientError }
  /** `told` is the `error` frame that came in the place of `welcome`. */
  | { readonly kind: 'connection'; readonly end: TransportEnd; readonly told: ErrorFrame | undefined };

export interface AttemptEvents {
  welcomed(attempt: Attempt, session: string): void;
  /** The sessions before this one, the newest first. */
  earlier(): readonly string[];
  /** What comes after the welcome. */
  frame(attempt: Attempt, frame: ServerFrame): void;
  alive(attempt: Attempt): void;
  /** Comes once, and nothing after it. */
  ended(attempt: Attempt, end: AttemptEnd): void;
}

const WELCOME_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
const NORMAL = 1_000;

/** One session, from the question for its token to the end of its connection. */
export class Attempt {
  /** Announced by its `welcome`. */
  limits: WelcomeLimits | undefined;
  /** The gateway takes no messages over it any more. */
  isRefusing = false;
  readonly #options: AttemptOptions;
  readonly #events: AttemptEvents;
  #token: string | undefined;
  #connection: Connection | undefined;
  #told: ErrorFrame | undefined;
  /** Ends what does not come about, or does not close. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  /** @param token where it is known already; else it is asked for. */
  constructor(options: AttemptOptions, events: AttemptEvents, token?: string) {
    this.#options = options;
    this.#events = events;
    this.#token = token;
  }

  get token(): string | undefined {
    return this.#token;
  }

  /** Never rejects: what fails is its end. */
  async begin(): Promise<void> {
    try {
      this.#token ??= await askForToken(this.#options.token);
    } catch (error) {
      this.#end({ kind: 'no-token', error: error as ParleyClientError });
      return;
    }
    if (this.#ended) return;
    this.#connection = openGuarded(this.#options.transport, this.#options.urlOf(this.#events.earlier()), this.#token, {
      frame: (data) => this.#onFrame(data),
      alive: () => this.#events.alive(this),
      closed: (end) => this.#end({ kind: 'connection', end, told: this.#told }),
    });
    this.#limitStep(WELCOME_TIMEOUT_MS, 'no welcome');
  }

  send(data: string): void {
    this.#connection?.send(data);
  }

  /** Says goodbye; the connection is cut where the other side does not answer. */
  close(reason: string): void {
    this.#limitStep(CLOSE_TIMEOUT_MS, 'no answer to the goodbye');
    this.#connection?.close(NORMAL, reason);
  }

  /** Ends it without a goodbye. */
  terminate(problem: string): void {
    if (this.#connection) this.#connection.terminate(problem);
    else this.#end({ kind: 'no-token', error: new ParleyClientError('closed', problem) });
  }

  #onFrame(data: string): void {
    const frame = parseFrame(data);
    this.#events.alive(this);
    // Not a gateway of ours, or a proxy that meddles: another connection may be luckier.
    if (!frame) this.terminate('the other end sent what is no frame of Parley');
    else if (this.limits) {
      if (frame.type === 'nack' && frame.code === 'shutting_down') this.isRefusing = true;
      this.#events.frame(this, frame);
    } else if (frame.type === 'error') this.#told = frame;
    else if (frame.type === 'welcome') {
      clearTimeout(this.#timer);
      this.limits = frame.limits;
      this.#events.welcomed(this, frame.session);
    }
  }

  #limitStep(ms: number, what: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.terminate(`${what} within ${ms} ms`), ms);
  }

  #end(end: AttemptEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#events.ended(this, end);
  }
}
