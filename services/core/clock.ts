import { type EpochMs, epochMs } from './brands.ts';

/** Time as a parameter: real in the services, set by hand in tests. */
export interface Clock {
  /** Wall-clock time, for stamps that leave the process. */
  now(): EpochMs;
  /** Monotonic milliseconds with a fraction, for durations: never goes back when the wall clock is set. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => epochMs(Date.now()),
  monotonicMs: () => performance.now(),
};

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #now: number;
  constructor(startMs = 1_790_000_000_000) {
    this.#now = startMs;
  }
  now(): EpochMs {
    return epochMs(this.#now);
  }
  monotonicMs(): number {
    return this.#now;
  }
  advance(byMs: number): void {
    this.#now += byMs;
  }
}
