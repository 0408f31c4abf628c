import { Fifo } from '../../../core/collections/fifo.ts';
import { CubicRate } from './cubic-rate.ts';

export interface SendRateOptions {
  /** What the API allows this instance, in calls a second; undefined: as many as it answers. */
  readonly requestsPerS?: number | undefined;
  /** Calls may be started that could not before. */
  readonly onRoom?: (() => void) | undefined;
  /** A throttle counts as an outage from now on, or no longer. */
  readonly onLasting?: ((isLasting: boolean) => void) | undefined;
  readonly random: () => number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** A call that waits until the rate lets it go. */
export interface PacedCall {
  /** False once its answer is of no use: it is dropped without a place in the rate. */
  readonly isWanted: boolean;
  send(): void;
  /** The call was not made, and is not going to be. */
  notSent(error: Error): void;
}

/** What may be sent at once after a pause, as a share of a second's calls. */
const BURST_S = 0.1;
/** Calls that may wait here, in seconds of the rate: their order by tenant is fixed by then. */
const AHEAD_S = 0.1;
const MIN_AHEAD = 2;
/** A longer `Retry-After` is cut to this. */
const MAX_PAUSE_MS = 60_000;
/** At the end of a pause the instances come back one after the other, over so much of it. */
const PAUSE_JITTER = 0.1;
/** A throttle that lasts longer than this counts as an outage, and a call that would wait longer comes back. */
const LASTING_MS = 5_000;
/** What a call may wait for in a lasting throttle. */
const LASTING_WAIT_MS = 250;
/** So long no call may have waited for a throttle to be over. */
const CALM_MS = 1_000;
/** The adaptive rate is forgotten when so long nothing was refused. */
const FORGET_MS = 60_000;

/** The API does not admit the call now: it was not made, and says nothing of its text. */
export class HeldBackError extends Error {
  override readonly name = 'HeldBackError';
}

const HELD_BACK = new HeldBackError('the NLP API admits no further calls for now');
const NOT_WANTED = new Error('the call is no longer wanted');

/**
 * When the next call may be sent: a token bucket before a queue, for all calls of the instance, retries and hedges among
 * them. Its rate is the smaller of what the API documents (`requests_per_s`) and what its refusals teach ({@link CubicRate});
 * a `Retry-After` stops all calls until then.
 *
 *     unlimited ──refused──▶ limited ──calls wait for 5 s, or a pause of more than 5 s──▶ lasting
 *         ▲  60 s without a refusal  │  ▲──────────no call waited for 1 s────────────────────┘
 *         └──────────────────────────┘
 *
 * Few calls wait here (see {@link room}); all others wait where tenants take turns. A call that would wait for more than 5 s
 * comes back instead, in a lasting throttle one that would wait for more than 250 ms: the queue holds at most 5 s of the rate.
 */
export class SendRate {
  readonly #options: SendRateOptions;
  readonly #paceS: number;
  readonly #now: () => number;
  readonly #cubic: CubicRate;
  readonly #waiting = new Fifo<PacedCall>();
  #isLimited: boolean;
  #tokens: number;
  #filledAtMs: number;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #scarceSinceMs = Number.POSITIVE_INFINITY;
  #waitedAtMs = Number.NEGATIVE_INFINITY;
  #wasLasting = false;
  #timer: NodeJS.Timeout | undefined;
  /** Calls that came back without being sent. */
  heldBack = 0;

  constructor(options: SendRateOptions) {
    this.#options = options;
    this.#paceS = options.requestsPerS ?? Number.POSITIVE_INFINITY;
    this.#now = options.now ?? (() => performance.now());
    const now = this.#now();
    this.#cubic = new CubicRate(now);
    this.#isLimited = this.#paceS < Number.POSITIVE_INFINITY;
    this.#tokens = this.#isLimited ? this.#burst : 0;
    this.#filledAtMs = now;
  }

  /** Calls a second at present; Infinity: no limit. */
  get perS(): number {
    return Math.min(this.#paceS, this.#cubic.perS);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many more calls may come so that each waits for a tenth of a second at most. */
  get room(): number {
    if (!this.#isLimited) return Number.POSITIVE_INFINITY;
    if (this.#now() < this.#pausedUntilMs) return 0;
    return Math.max(Math.ceil(Math.max(this.perS * AHEAD_S, MIN_AHEAD)) - this.#waiting.size, 0);
  }

  /** Whether the throttle counts as an outage: calls wait longer than a message should. */
  get isLasting(): boolean {
    if (!this.#isThrottled) return false;
    const now = this.#now();
    return this.#pausedUntilMs - now > LASTING_MS || now - this.#scarceSinceMs > LASTING_MS;
  }

  /** Sends the call as soon as the rate allows, at once where nothing is limited. */
  submit(call: PacedCall): void {
    if (!this.#isLimited) {
      call.send();
      return;
    }
    const now = this.#now();
    if (this.#isThrottled && this.#waitMs(now) > (this.isLasting ? LASTING_WAIT_MS : LASTING_MS)) {
      this.heldBack++;
      this.#waitedAtMs = now;
      this.#report();
      queueMicrotask(() => call.notSent(HELD_BACK));
      return;
    }
    this.#waiting.push(call);
    if (this.#timer === undefined) this.#release();
  }

  /** A call was answered now. */
  answered(now: number): void {
    this.#cubic.answered(now);
    if (!this.#isLimited) return;
    if (this.#isThrottled && now - this.#cubic.refusedAtMs > FORGET_MS) this.#forget();
    if (this.#waiting.size > 0) this.#release();
  }

  /** The API refused a call because there were too many. */
  refused(sentAtMs: number): void {
    const now = this.#now();
    this.#cubic.refused(sentAtMs, now);
    this.#isLimited = true;
    this.#tokens = 0;
    this.#filledAtMs = now;
    this.#arm(now);
  }

  /** No call before then, as the API's `Retry-After` says. */
  pauseFor(ms: number): void {
    if (ms <= 0) return;
    const now = this.#now();
    const pauseMs = Math.min(ms, MAX_PAUSE_MS) * (1 + PAUSE_JITTER * this.#options.random());
    this.#isLimited = true;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, now + pauseMs);
    this.#arm(now);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #isThrottled(): boolean {
    return this.#cubic.perS < Number.POSITIVE_INFINITY || this.#now() < this.#pausedUntilMs;
  }

  get #burst(): number {
    return Math.max(1, this.perS * BURST_S);
  }

  #waitMs(now: number): number {
    return (
      Math.max(this.#pausedUntilMs - now, 0) + (Math.max(this.#waiting.size - this.#tokens, 0) * 1_000) / this.perS
    );
  }

  #forget(): void {
    this.#cubic.forget();
    this.#isLimited = this.#paceS < Number.POSITIVE_INFINITY;
    this.#scarceSinceMs = Number.POSITIVE_INFINITY;
  }

  #release(): void {
    const now = this.#now();
    if (now >= this.#pausedUntilMs) {
      if (this.perS === Number.POSITIVE_INFINITY) this.#isLimited = false;
      else this.#fill(now);
      while (this.#waiting.size > 0 && (!this.#isLimited || this.#tokens >= 1)) this.#sendNext();
      this.#judge(now);
    }
    this.#arm(now);
  }

  /** A call that is not wanted any more takes no token. */
  #sendNext(): void {
    const call = this.#waiting.shift() as PacedCall;
    if (!call.isWanted) {
      call.notSent(NOT_WANTED);
      return;
    }
    if (this.#isLimited) this.#tokens--;
    call.send();
  }

  #fill(now: number): void {
    const from = Math.max(this.#filledAtMs, this.#pausedUntilMs);
    this.#tokens = Math.min(this.#tokens + (Math.max(now - from, 0) * this.perS) / 1_000, this.#burst);
    this.#filledAtMs = now;
  }

  #judge(now: number): void {
    if (this.#waiting.size > 0) this.#waitedAtMs = now;
    if (now - this.#waitedAtMs > CALM_MS) this.#scarceSinceMs = Number.POSITIVE_INFINITY;
    else if (this.#scarceSinceMs === Number.POSITIVE_INFINITY) this.#scarceSinceMs = now;
    this.#report();
  }

  #report(): void {
    const { isLasting } = this;
    if (isLasting === this.#wasLasting) return;
    this.#wasLasting = isLasting;
    this.#options.onLasting?.(isLasting);
  }

  /** The next turn: at the end of a pause, whether calls wait or not, since there is room then; or at the next token. */
  #arm(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pauseMs = this.#pausedUntilMs - now;
    if (pauseMs <= 0 && this.#waiting.size === 0) return;
    const tokenMs = ((1 - this.#tokens) * 1_000) / this.perS;
    this.#timer = setTimeout(() => this.#turn(), Math.ceil(pauseMs > 0 ? pauseMs : Math.max(tokenMs, 1)));
  }

  #turn(): void {
    this.#timer = undefined;
    this.#release();
    this.#options.onRoom?.();
  }
}
