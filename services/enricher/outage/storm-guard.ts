import { FailureWindow } from './failure-window.ts';

export interface StormGuardOptions {
  /** Records held at which the guard {@link StormGuard.isFull}. */
  readonly maxHeld: number;
  /** Between two probes. */
  readonly probeEveryMs: number;
  readonly onChange: (state: StormState, why: StormChange) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export type StormState = 'calm' | 'storm';
/** `tripped`: too many fail; `probes`: three in a row passed; `operator`: an operator decided. */
export type StormChange = 'tripped' | 'probes' | 'operator';

/** What becomes of a record that the NLP API failed: dead letter, another try, a try that decides on the storm, nothing. */
type StormVerdict = 'dead_letter' | 'retry' | 'probe' | 'abandoned';

interface Waiter {
  /** False once its partition is lost. */
  stillWanted(): boolean;
}

export const WINDOW_MS = 60_000;
const MIN_RECORDS = 200;
const FAILED_SHARE = 0.5;
/** So many records this instance has to have judged itself: below it, half of them may fail by chance. */
const MIN_JUDGED = 5;
const SUCCESSES_TO_RELEASE = 3;

interface Held {
  readonly waiter: Waiter;
  readonly resolve: (verdict: StormVerdict) => void;
}

/**
 * Keeps a broken NLP API from turning a stream of good messages into dead letters.
 *
 *     calm ──half of ≥ 200 records in 60 s failed──▶ storm ──three probes in a row, or an operator──▶ calm
 *
 * In a storm, a record that fails is held instead of being dead-lettered; every few seconds one of them is tried again. At
 * the end all of them are. The guard counts only what the API decided (`nlp_*` reasons), neither poison nor answers out of
 * the cache.
 *
 * The 200 are those of all instances and of those before a restart, as chat.dlq has them: this instance judges by the share
 * of its own records, and counts what passed here and what anyone dead-lettered. So n instances that are restarted r times
 * within a minute dead-letter 200 records, n·(r + 1)·4 more before they have judged five themselves, and what they fail
 * while a letter is on its way to the others (some 50 ms).
 */
export class StormGuard {
  readonly #options: StormGuardOptions;
  readonly #now: () => number;
  readonly #window: FailureWindow;
  /** Dead letters of all instances, as they appear on chat.dlq; and those that were there when this one started. */
  readonly #letters: FailureWindow;
  readonly #earlier: FailureWindow;
  #held: Held[] = [];
  /** Records that are tried as probes now. */
  #probing = 0;
  #passed = 0;
  /** No record was held at the time of a probe: the next record that is judged is the probe. */
  #anyIsProbe = false;
  #timer: NodeJS.Timeout | undefined;
  #disarmedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: StormGuardOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#window = new FailureWindow(WINDOW_MS, this.#now);
    this.#letters = new FailureWindow(WINDOW_MS, this.#now);
    this.#earlier = new FailureWindow(WINDOW_MS, this.#now);
  }

  get state(): StormState {
    return this.#timer === undefined ? 'calm' : 'storm';
  }

  /** Records that wait. */
  get held(): number {
    return this.#held.length;
  }

  /** So many are held that nothing new may be started. */
  get isFull(): boolean {
    return this.#held.length >= this.#options.maxHeld;
  }

  /** At the start: so many dead letters for the API's sake came within the last minute, from any instance. */
  recall(letters: number): void {
    this.#earlier.add(true, letters);
    this.letterSeen(letters);
  }

  /** Dead letters for the API's sake appeared on chat.dlq, this instance's own among them. */
  letterSeen(letters = 1): void {
    this.#letters.add(true, letters);
  }

  /** The API analysed a record. @param probe it had been held, and was let go as a probe. */
  passed(probe: boolean): void {
    if (this.#timer === undefined) {
      this.#window.add(false);
      return;
    }
    if (!this.#isProbe(probe)) return;
    if (++this.#passed >= SUCCESSES_TO_RELEASE) this.#release('probes');
  }

  /** The API rejected a record, or it failed for good. Resolves when it is clear what becomes of the record. */
  failed(probe: boolean, waiter: Waiter): Promise<StormVerdict> | 'dead_letter' {
    if (this.#timer === undefined) {
      this.#window.add(true);
      if (!this.#isStorm()) return 'dead_letter';
      this.#trip();
    } else if (this.#isProbe(probe)) this.#passed = 0;
    return new Promise((resolve) => this.#held.push({ waiter, resolve }));
  }

  /** A probe ended without a verdict: its partition was lost, say. */
  forget(probe: boolean): void {
    this.#isProbe(probe);
  }

  /**
   * An operator's decision: what is held is tried once more, and whatever fails from now on becomes a dead letter for so
   * long, however much it is.
   *
   * @returns how many were held.
   */
  releaseFor(graceMs: number): number {
    const held = this.#held.length;
    this.#disarmedUntilMs = this.#now() + graceMs;
    if (this.#timer !== undefined) this.#release('operator');
    return held;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const { resolve } of this.#held.splice(0)) resolve('abandoned');
  }

  #isStorm(): boolean {
    if (this.#now() < this.#disarmedUntilMs) return false;
    const { failed, all } = this.#window.counts();
    // A letter of this instance's own appears on chat.dlq a little later.
    const letters = Math.max(this.#letters.counts().all, this.#earlier.counts().all + failed);
    const enough = all >= MIN_JUDGED && all - failed + letters >= MIN_RECORDS;
    return enough && failed >= all * FAILED_SHARE;
  }

  #trip(): void {
    this.#passed = 0;
    this.#anyIsProbe = false;
    this.#timer = setInterval(() => this.#probe(), this.#options.probeEveryMs);
    this.#options.onChange('storm', 'tripped');
  }

  /** One at a time, the one that has waited longest; a probe that fails goes to the end of the line. */
  #probe(): void {
    this.#held = this.#held.filter(({ waiter, resolve }) => {
      if (waiter.stillWanted()) return true;
      resolve('abandoned');
      return false;
    });
    if (this.#probing > 0) return;
    const next = this.#held.shift();
    if (next === undefined) {
      this.#anyIsProbe = true;
      return;
    }
    this.#probing++;
    next.resolve('probe');
  }

  #isProbe(probe: boolean): boolean {
    if (probe) {
      this.#probing = 0;
      return true;
    }
    const any = this.#anyIsProbe;
    this.#anyIsProbe = false;
    return any;
  }

  #release(why: StormChange): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#probing = 0;
    for (const window of [this.#window, this.#letters, this.#earlier]) window.clear();
    this.#options.onChange('calm', why);
    for (const { resolve } of this.#held.splice(0)) resolve('retry');
  }
}
