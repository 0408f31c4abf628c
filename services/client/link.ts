import { Attempt, type AttemptEnd, type AttemptEvents, type AttemptOptions } from './attempt.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { delayMs } from './bounds.ts';
import { describeEnd, type Meaning, meaningOf } from './connection-end.ts';
import { ParleyClientError } from './errors.ts';
import type { ServerFrame, WelcomeLimits } from './frames.ts';
import { SilenceWatch } from './silence-watch.ts';
import { askForToken } from './token-source.ts';

export interface LinkOptions extends AttemptOptions {
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
  /** A session with another token is going to take over. */
  renewing(): void;
  /** Whether messages wait for an answer. */
  expectsAnswer(): boolean;
}

type Timer = ReturnType<typeof setTimeout>;
type Phase =
  | { readonly name: 'waiting'; readonly timer: Timer }
  | { readonly name: 'connecting'; readonly attempt: Attempt }
  | { readonly name: 'open'; readonly attempt: Attempt; readonly openedAtMs: number }
  | { readonly name: 'closed'; readonly attempt?: Attempt };

/** The session that is to take over from the open one. */
interface Successor {
  readonly attempt: Attempt;
  readonly dueAtMs: number;
  isBegun: boolean;
  /** Until it is due; then until the answers to what the open session sent are not waited for any more. */
  timer: Timer | undefined;
}

/** A session that lasted this long was a good one: the next failure starts the backoff anew. */
const STABLE_MS = 10_000;
/** Below this a renewal is met with backoff: a gateway that warns at once, again and again, is not answered in a loop. */
const RENEWABLE_AFTER_MS = 1_000;
const MAX_AUTH_REFUSALS = 3;
/** The gateway looks at no more. */
const MAX_EARLIER_SESSIONS = 8;
const NORMAL = 1_000;
/** How long the next session waits for the answers to what the present one sent. */
const HANDOVER_MS = 2_000;
/** The longest that a client stays away because it was told to: a `Retry-After` of days is a mistake somewhere. */
const MAX_AWAY_MS = 300_000;

/**
 * Keeps one session with the gateway open: connects, watches for signs of life, comes back after a loss. Where the gateway
 * says goodbye, or the token is about to expire, the next session is opened beside the present one and takes over once it is
 * there and all that was sent is answered: messages never travel over both, so that none overtakes another.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #backoff: Backoff;
  readonly #silence: SilenceWatch;
  #phase: Phase = { name: 'closed' };
  #successor: Successor | undefined;
  /** Left for a successor, not closed yet. */
  readonly #left = new Set<Attempt>();
  /** The sessions so far, the newest first: the next one takes over their insights. */
  #sessions: readonly string[] = [];
  #authRefusals = 0;
  #renewTimer: Timer | undefined;
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

  /** Whether frames may be sent: a session is open, takes messages, and none is about to take over. */
  get isOpen(): boolean {
    return this.#phase.name === 'open' && !this.#phase.attempt.isRefusing && !this.#successor?.attempt.limits;
  }

  /** Why the last connection ended or did not come about, in words. */
  get lastProblem(): string | undefined {
    return this.#lastProblem;
  }

  start(): void {
    this.#connect();
  }

  send(data: string): void {
    if (this.#phase.name === 'open') this.#phase.attempt.send(data);
  }

  /**
   * The token expires in `inMs`. Where there may be another: some time before (drawn at random, since thousands of tokens
   * may end at once) it is asked for, and a session with it takes over.
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
    if (this.#successor?.attempt.limits && !this.#events.expectsAnswer()) this.#takeOver(this.#successor);
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
    this.#dropSuccessor('closed by the caller');
    for (const attempt of this.#left) attempt.terminate('closed by the caller');
    if (phase.name === 'waiting') clearTimeout(phase.timer);
    if (phase.name === 'connecting') phase.attempt.terminate('closed by the caller');
    if (phase.name !== 'open') return;
    const { attempt } = phase;
    this.#phase = { name: 'closed', attempt };
    await new Promise<void>((resolve) => {
      this.#onClosed = resolve;
      attempt.close('done');
    });
  }

  #connect(): void {
    const attempt = this.#newAttempt();
    this.#phase = { name: 'connecting', attempt };
    void attempt.begin();
  }

  #newAttempt(token?: string): Attempt {
    const events: AttemptEvents = {
      welcomed: (attempt, session) => this.#onWelcome(attempt, session),
      earlier: () => this.#sessions,
      frame: (attempt, frame) => this.#onFrame(attempt, frame),
      alive: (attempt) => {
        if (this.#isPresent(attempt)) this.#silence.heard();
      },
      ended: (attempt, end) => this.#onEnd(attempt, end),
    };
    return new Attempt(this.#options, events, token);
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
    if (this.#phase !== phase || phase.name !== 'open' || this.#successor || token === phase.attempt.token) return;
    const young = performance.now() - phase.openedAtMs < RENEWABLE_AFTER_MS;
    this.#events.renewing();
    this.#handOver(young ? this.#backoff.next() : 0, token);
  }

  /** Opens the next session in a while, beside the open one. @param token asked for then where it is missing */
  #handOver(afterMs: number, token?: string): void {
    if (this.#phase.name !== 'open' || this.#successor) return;
    const attempt = this.#newAttempt(token);
    const successor: Successor = { attempt, dueAtMs: performance.now() + afterMs, isBegun: false, timer: undefined };
    successor.timer = setTimeout(() => {
      successor.isBegun = true;
      void attempt.begin();
    }, afterMs);
    this.#successor = successor;
  }

  /** @param why where its connection is to end as well. */
  #dropSuccessor(why?: string): Successor | undefined {
    const successor = this.#successor;
    clearTimeout(successor?.timer);
    this.#successor = undefined;
    if (why !== undefined) successor?.attempt.terminate(why);
    return successor;
  }

  #takeOver({ attempt }: Successor): void {
    const phase = this.#phase;
    this.#dropSuccessor();
    if (phase.name !== 'open') return;
    this.#stopTimers();
    this.#left.add(phase.attempt);
    phase.attempt.close('handed over');
    this.#resetBackoffAfter(phase.openedAtMs);
    // Before the event, which may close this link.
    const entered: Phase = { name: 'connecting', attempt };
    this.#phase = entered;
    this.#events.lost(NORMAL);
    if (this.#phase === entered) this.#open(attempt);
    else attempt.terminate('closed by the caller');
  }

  #open(attempt: Attempt): void {
    const { limits } = attempt;
    if (!limits) return;
    this.#authRefusals = 0;
    this.#phase = { name: 'open', attempt, openedAtMs: performance.now() };
    this.#silence.start(attempt, limits.ping_interval_ms);
    this.#events.opened(limits);
  }

  #isPresent(attempt: Attempt): boolean {
    return (this.#phase.name === 'connecting' || this.#phase.name === 'open') && this.#phase.attempt === attempt;
  }

  #onWelcome(attempt: Attempt, session: string): void {
    if (session !== '') {
      this.#sessions = [session, ...this.#sessions.filter((it) => it !== session)].slice(0, MAX_EARLIER_SESSIONS);
    }
    const successor = this.#successor;
    if (this.#isPresent(attempt)) this.#open(attempt);
    else if (attempt === successor?.attempt) {
      clearTimeout(successor.timer);
      if (!this.#events.expectsAnswer()) this.#takeOver(successor);
      else successor.timer = setTimeout(() => this.#takeOver(successor), HANDOVER_MS);
    }
  }

  #onFrame(attempt: Attempt, frame: ServerFrame): void {
    if (this.#phase.name === 'open' && this.#isPresent(attempt)) {
      const lastedMs = performance.now() - this.#phase.openedAtMs;
      if (frame.type === 'goaway') this.#onGoaway(frame.reconnect_after_ms, lastedMs);
      // Nothing could be sent any more where the goodbye was lost on the way, or was never said.
      else if (attempt.isRefusing) this.#onGoaway(0, lastedMs);
      this.#events.frame(frame);
    } else if (attempt === this.#successor?.attempt) {
      // One that has to go itself is no successor: another is tried for.
      if (frame.type === 'goaway') attempt.terminate('a goodbye before it took over');
      else this.#events.frame(frame);
    } else if (frame.type === 'insight' && this.#left.has(attempt)) {
      // On its way when the session was left; no other one gets it.
      this.#events.frame(frame);
    }
  }

  /** What the gateway asks for, but never in a loop: a session that did not last is followed with backoff. */
  #onGoaway(afterMs: number, lastedMs: number): void {
    if (this.#successor) return;
    const asked = delayMs(afterMs, MAX_AWAY_MS);
    this.#handOver(lastedMs >= STABLE_MS ? asked : Math.max(asked, this.#backoff.next()));
  }

  #onEnd(attempt: Attempt, end: AttemptEnd): void {
    if (this.#left.delete(attempt)) return;
    const phase = this.#phase;
    if (attempt === this.#successor?.attempt) {
      // The open session goes on.
      this.#dropSuccessor();
      this.#handOver(this.#notBefore(meaningOfEnd(end)));
      this.#tell(problemOf(end));
    } else if (phase.name === 'closed') {
      if (phase.attempt === attempt) this.#onClosed?.();
    } else if (this.#isPresent(attempt)) this.#onPresentEnd(end);
  }

  #onPresentEnd(end: AttemptEnd): void {
    this.#stopTimers();
    const phase = this.#phase;
    if (phase.name === 'open') this.#resetBackoffAfter(phase.openedAtMs);
    const meaning = meaningOfEnd(end);
    const error = this.#finalErrorOf(meaning);
    const successor = this.#dropSuccessor(error && 'given up');
    // Before the events, which may close this link.
    if (error) this.#phase = { name: 'closed' };
    else if (!successor) this.#reconnectIn(this.#notBefore(meaning));
    else if (successor.isBegun) this.#phase = { name: 'connecting', attempt: successor.attempt };
    else this.#reconnectIn(Math.max(0, successor.dueAtMs - performance.now()));
    if (!successor) this.#tell(problemOf(end));
    if (phase.name === 'open') this.#events.lost(end.kind === 'connection' ? end.end.code : NORMAL);
    if (error) this.#events.failed(error);
    else if (successor?.attempt.limits && this.#isPresent(successor.attempt)) this.#open(successor.attempt);
  }

  #finalErrorOf(meaning: Meaning): ParleyClientError | undefined {
    if (meaning.kind === 'again') return undefined;
    if (meaning.kind === 'final' || !this.#options.renewable) return meaning.error;
    this.#authRefusals += 1;
    return this.#authRefusals < MAX_AUTH_REFUSALS ? undefined : meaning.error;
  }

  /** What the gateway asks for, and the backoff at least. */
  #notBefore(meaning: Meaning): number {
    const asked = meaning.kind === 'again' ? meaning.notBeforeMs : 0;
    return Math.max(delayMs(asked, MAX_AWAY_MS), this.#backoff.next());
  }

  #resetBackoffAfter(openedAtMs: number): void {
    if (performance.now() - openedAtMs >= STABLE_MS) this.#backoff.reset();
  }

  #reconnectIn(afterMs: number): void {
    this.#phase = { name: 'waiting', timer: setTimeout(() => this.#connect(), afterMs) };
  }

  #stopTimers(): void {
    clearTimeout(this.#renewTimer);
    this.#silence.stop();
  }

  #tell(problem: ParleyClientError): void {
    this.#lastProblem = problem.message;
    this.#events.problem(problem);
  }
}

const meaningOfEnd = (end: AttemptEnd): Meaning =>
  end.kind === 'connection' ? meaningOf(end.end, end.told) : { kind: 'again', notBeforeMs: 0 };

const problemOf = (end: AttemptEnd): ParleyClientError =>
  end.kind === 'connection' ? new ParleyClientError('connection_lost', describeEnd(end.end, end.told)) : end.error;
