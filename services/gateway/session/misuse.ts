import type { Clock } from '../../core/clock.ts';
import { TokenBucket } from '../limits/token-bucket.ts';

export interface MisuseLimits {
  readonly maxMalformedPerMinute: number;
  readonly maxRefusedInARow: number;
  readonly clock: Clock;
}

/** What a session has to do about it: `pause` is to read no further frames for a while. */
export type Penalty = 'none' | 'pause' | 'too_many_malformed' | 'too_many_refused';

/** A socket is paused after each tenth of the refusals in a row that close it. */
const PAUSES = 10;
/** Control frames a second, and ten times as many at once: pings come every few seconds. */
const CONTROL_FRAMES_PER_S = 20;

/**
 * Counts the frames of one socket that were refused for their own fault. Each has cost its bot a message already; a client
 * that gets nothing but refusals is slowed down, and closed if it goes on.
 */
export class Misuse {
  readonly #limits: MisuseLimits;
  readonly #malformed: TokenBucket;
  readonly #controls: TokenBucket;
  #refusedInARow = 0;

  constructor(limits: MisuseLimits) {
    this.#limits = limits;
    const { maxMalformedPerMinute: perMinute } = limits;
    const nowMs = limits.clock.monotonicMs();
    this.#malformed = new TokenBucket(perMinute / 60, perMinute, nowMs);
    this.#controls = new TokenBucket(CONTROL_FRAMES_PER_S, CONTROL_FRAMES_PER_S * 10, nowMs);
  }

  /** A message was taken. */
  forgive(): void {
    this.#refusedInARow = 0;
  }

  /** @param isNoMessage the frame was malformed, of an unknown type, or without a usable id. */
  refused(isNoMessage: boolean): Penalty {
    const { maxRefusedInARow, clock } = this.#limits;
    if (isNoMessage) {
      if (this.#malformed.available(clock.monotonicMs()) < 1) return 'too_many_malformed';
      this.#malformed.take();
    }
    this.#refusedInARow += 1;
    if (this.#refusedInARow >= maxRefusedInARow) return 'too_many_refused';
    return this.#refusedInARow % Math.ceil(maxRefusedInARow / PAUSES) === 0 ? 'pause' : 'none';
  }

  /** Pings and pongs cost no message, but a flood of them is not read on. */
  control(): Penalty {
    if (this.#controls.available(this.#limits.clock.monotonicMs()) < 1) return 'pause';
    this.#controls.take();
    return 'none';
  }
}
