import pLimit, { type LimitFunction } from 'p-limit';
import { Fifo } from '../../../core/collections/fifo.ts';
import type { Holder, Release } from '../callbacks.ts';

export interface GradientOptions {
  readonly floor: number;
  readonly ceiling: number;
  readonly initial: number;
  readonly onMove?: (why: LimitMove) => void;
  /** A permit came free: there may be room for another call. */
  readonly onRelease?: (() => void) | undefined;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** One slot of p-limit, kept for as long as the limit allows and lent to call after call. */
interface Permit {
  /** The same for every call: the permit is lent to one at a time. */
  readonly release: Release;
  readonly giveBack: () => void;
}

/** How a call ended, as far as that shows the API's load. */
export type Ending = 'answered' | 'throttled' | 'timeout';

/** Why the limit moved: answers are as quick as ever, they became slower, the API had too much, a look at its best latency, or the end of an outage. */
export type LimitMove = 'grow' | 'slower' | 'overload' | 'probe' | 'restart';

/**
 * Latency may grow to this multiple of the best before the limit shrinks. With 2, an API that became twice as slow by
 * itself was asked for a tenth of what it could have answered, until a minute later its latency counted as the best.
 */
const TOLERANCE = 3;
/**
 * Until the first window that is slower the limit grows by this factor instead ("slow start", Jacobson, "Congestion
 * Avoidance and Control", 1988): from 200 to 2,000 in 1.3 s, less than a doubling in the time that an answer takes.
 */
const START_GROWTH = 1.25;
/** Multiplied when a window saw an overload: a throttle, or time-outs of more than a fifth of its calls. */
const BACKOFF_RATIO = 0.9;
/** An API that loses a few of a hundred calls for good is no less able to take the others. */
const MANY_TIMEOUTS = 0.2;
/** For so long after a throttle the limit grows by one a window, to stay near what the API admits. */
const CAREFUL_MS = 10_000;
/** Weight of a decrease: one bad window in a row of good ones does little. */
const SMOOTHING = 0.2;
const WINDOW_MS = 100;
const WINDOW_SAMPLES = 10;
/** The best latency is that of the last minute, so that an API that became slower for good is accepted as such. */
const BEST_BUCKETS = 2;
const BEST_BUCKET_MS = 30_000;
/**
 * Twice a minute the limit is cut for a few windows: without that, the best latency of a minute under full load would creep
 * up to what queueing makes of it, and the limit with it. As deep as the tolerance is wide, or it would creep all the same.
 * Costs at most 1 % of the throughput at 200 ms.
 */
const PROBE_RATIO = 1 / TOLERANCE;
const PROBE_LATENCIES = 2;

/**
 * p-limit as the bulkhead, its concurrency moved by a latency gradient as `GradientLimit` of Netflix's
 * concurrency-limits does. Each window of at least 100 ms and 10 answers:
 *
 *     gradient = clamp(0.5, 1, 3 × best latency ÷ mean latency of the window)
 *     limit    = limit × gradient + √limit          (a decrease counts one fifth)
 *     limit    = limit × 0.9 at an overload; limit + 1 in the ten seconds after a throttle
 *
 * (faster at the start) so that the limit grows while answers are as quick as ever, and shrinks as soon as calls queue
 * somewhere, in the API or in this process. It stands still while less than a third of it is in use. A fixed limit that is
 * too high turns slowness into time-outs and retries, which never ends by itself.
 */
export class GradientLimit {
  readonly #limit: LimitFunction;
  readonly #options: GradientOptions;
  readonly #now: () => number;
  readonly #best: { minMs: number; untilMs: number }[] = [];
  readonly #waiting = new Fifo<Holder>();
  /** Permits that no call holds now. */
  readonly #free: Permit[] = [];
  #permits = 0;
  /** Slots asked of p-limit and not had yet. */
  #ordered = 0;
  #exact: number;
  #starting = true;
  #probeUntilMs = Number.NEGATIVE_INFINITY;
  #carefulUntilMs = Number.NEGATIVE_INFINITY;
  #window: Window;

  constructor(options: GradientOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#exact = Math.min(Math.max(options.initial, options.floor), options.ceiling);
    this.#limit = pLimit(Math.floor(this.#exact));
    this.#window = new Window(this.#now(), 0);
  }

  get concurrency(): number {
    return this.#limit.concurrency;
  }
  get inFlight(): number {
    return this.#permits - this.#free.length;
  }
  get waiting(): number {
    return this.#waiting.size;
  }

  /** After an outage: from the beginning, as if nothing were known of the API. */
  restart(): void {
    this.#starting = true;
    this.#best.length = 0;
    this.#probeUntilMs = Number.NEGATIVE_INFINITY;
    this.#carefulUntilMs = Number.NEGATIVE_INFINITY;
    this.#set(Math.min(this.#exact, this.#options.initial), 'restart');
  }

  /** Gives the holder a permit, at once where one is free. */
  hold(holder: Holder): void {
    const permit = this.#free.pop();
    if (permit) {
      this.#lend(permit, holder);
      return;
    }
    this.#waiting.push(holder);
    this.#order();
  }

  /**
   * How a call with a permit ended. A call that failed for a reason of its own says nothing about the latency (it may have
   * been refused at once), so it is left out.
   */
  observe(latencyMs: number, ending: Ending): void {
    const window = this.#window;
    window.count(latencyMs, ending);
    const now = this.#now();
    if (now - window.startedAtMs < WINDOW_MS || !window.hasEnough) return;
    this.#window = new Window(now, this.inFlight);
    this.#adjust(window, now);
  }

  /**
   * p-limit bounds the permits, and the hot path lends each of them to call after call by lines of its own: p-limit's four
   * promises a call (4 µs and 1.5 KB, docs/adr/0012-hot-path.md) are paid once a permit. Never more are on order than calls
   * wait.
   */
  #order(): void {
    while (this.#ordered < this.#waiting.size) {
      this.#ordered++;
      void this.#limit(() => new Promise<void>((giveBack) => this.#received(giveBack)));
    }
  }

  #received(giveBack: () => void): void {
    this.#ordered--;
    this.#permits++;
    const permit: Permit = { giveBack, release: () => this.#released(permit) };
    this.#pass(permit);
  }

  #released(permit: Permit): void {
    this.#pass(permit);
    this.#options.onRelease?.();
  }

  /** Lends the permit to the next call, or gives it back to p-limit where the limit shrank. */
  #pass(permit: Permit): void {
    if (this.#permits > this.#limit.concurrency) {
      this.#permits--;
      permit.giveBack();
      this.#order();
      return;
    }
    const holder = this.#waiting.shift();
    if (holder) this.#lend(permit, holder);
    else this.#free.push(permit);
  }

  #lend(permit: Permit, holder: Holder): void {
    const inFlight = this.inFlight;
    if (inFlight > this.#window.mostInFlight) this.#window.mostInFlight = inFlight;
    holder.held(permit.release);
  }

  #adjust(window: Window, now: number): void {
    if (window.isOverloaded) {
      this.#starting = false;
      if (window.throttles > 0) this.#carefulUntilMs = now + CAREFUL_MS;
      this.#set(this.#exact * BACKOFF_RATIO, 'overload');
      return;
    }
    const meanMs = Math.max(window.sumMs / window.answers, 0.001);
    const bestMs = this.#bestAfter(meanMs, now);
    if (this.#isProbing(now)) return;
    // A limit that is hardly used stands still: a probe of it then cuts nothing that is used.
    if (window.mostInFlight < this.#exact * PROBE_RATIO) return;
    const gradient = Math.min(1, Math.max(0.5, (TOLERANCE * bestMs) / meanMs));
    if (gradient < 1) this.#starting = false;
    const growth = now < this.#carefulUntilMs ? 1 : Math.sqrt(this.#exact);
    const wanted = this.#starting ? this.#exact * START_GROWTH : this.#exact * gradient + growth;
    if (wanted < this.#exact) this.#set(this.#exact * (1 - SMOOTHING) + wanted * SMOOTHING, 'slower');
    else this.#set(wanted, 'grow');
  }

  #bestAfter(meanMs: number, now: number): number {
    const newest = this.#best.at(-1);
    if (newest && now < newest.untilMs) newest.minMs = Math.min(newest.minMs, meanMs);
    else {
      this.#best.push({ minMs: meanMs, untilMs: now + BEST_BUCKET_MS });
      if (newest) this.#probe(meanMs, now);
    }
    if (this.#best.length > BEST_BUCKETS) this.#best.shift();
    return Math.min(...this.#best.map(({ minMs }) => minMs));
  }

  #probe(meanMs: number, now: number): void {
    this.#probeUntilMs = now + Math.max(PROBE_LATENCIES * meanMs, 2 * WINDOW_MS);
    this.#options.onMove?.('probe');
    this.#apply(Math.max(this.#exact * PROBE_RATIO, this.#options.floor));
  }

  /** While probing the limit is left alone; then it is what it was. */
  #isProbing(now: number): boolean {
    if (now < this.#probeUntilMs) return true;
    this.#apply(this.#exact);
    return false;
  }

  #set(concurrency: number, why: LimitMove): void {
    const bounded = Math.min(Math.max(concurrency, this.#options.floor), this.#options.ceiling);
    if (bounded === this.#exact) return;
    this.#exact = bounded;
    this.#options.onMove?.(why);
    this.#apply(this.#exact);
  }

  #apply(concurrency: number): void {
    const whole = Math.floor(concurrency);
    if (whole === this.#limit.concurrency) return;
    this.#limit.concurrency = whole;
    while (this.#permits > whole && this.#free.length > 0) this.#pass(this.#free.pop() as Permit);
  }
}

/** Answers, throttles and time-outs since the limit was last adjusted. */
class Window {
  readonly startedAtMs: number;
  sumMs = 0;
  answers = 0;
  mostInFlight: number;
  throttles = 0;
  #timeouts = 0;

  constructor(startedAtMs: number, inFlight: number) {
    this.startedAtMs = startedAtMs;
    this.mostInFlight = inFlight;
  }

  get hasEnough(): boolean {
    return this.throttles > 0 || this.answers + this.#timeouts >= WINDOW_SAMPLES;
  }

  get isOverloaded(): boolean {
    return this.throttles > 0 || this.#timeouts > MANY_TIMEOUTS * (this.answers + this.#timeouts);
  }

  count(latencyMs: number, ending: Ending): void {
    if (ending === 'throttled') this.throttles++;
    else if (ending === 'timeout') this.#timeouts++;
    else {
      this.sumMs += latencyMs;
      this.answers++;
    }
  }
}
