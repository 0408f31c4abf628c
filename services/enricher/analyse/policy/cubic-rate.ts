/** Cubic rate control as AWS's SDKs have it in their adaptive retry mode (botocore, `retries/throttling.py`). */
const SCALE = 0.4;
const BETA = 0.7;
/** Calls a second at the least, so that something is sent to show that the API admits calls again. */
const MIN_PER_S = 1;
/** The rate stays below this multiple of what the API answers, or it would grow without limit while it is not used. */
const HEADROOM = 2;
const WINDOW_MS = 500;
const SMOOTHING = 0.8;

/** Answered calls a second: windows of half a second, the latest one with a weight of 0.8. */
class AnsweredRate {
  #perS = 0;
  #count = 0;
  #startedAtMs: number;

  constructor(nowMs: number) {
    this.#startedAtMs = nowMs;
  }

  record(nowMs: number): number {
    this.#count++;
    const elapsedMs = nowMs - this.#startedAtMs;
    if (elapsedMs < WINDOW_MS) return this.#perS;
    this.#perS = SMOOTHING * ((this.#count * 1_000) / elapsedMs) + (1 - SMOOTHING) * this.#perS;
    this.#count = 0;
    this.#startedAtMs = nowMs;
    return this.#perS;
  }

  get perS(): number {
    return this.#perS;
  }
}

/**
 * The rate that an API admits, learnt from its refusals: without limit until the first one, then
 *
 *     refusal   w = min(rate, answered calls a second);  rate = 0.7 × w
 *     answer    rate = 0.4 × (t − k)³ + w  after t seconds, with k = ∛(0.3 × w ÷ 0.4);  at most 2 × answered calls a second
 *
 * so that the rate is back at `w` after k seconds (3.3 at 50 a second), stays near it, and then looks for more. AWS takes all
 * responses for `w`; here it is those that were answered, so that a flood of refusals is over in one step.
 */
export class CubicRate {
  readonly #answered: AnsweredRate;
  #perS = Number.POSITIVE_INFINITY;
  #lastMaxPerS = 0;
  #plateauS = 0;
  #refusedAtMs = Number.NEGATIVE_INFINITY;

  /** @param nowMs monotonic milliseconds, here and below. */
  constructor(nowMs: number) {
    this.#answered = new AnsweredRate(nowMs);
  }

  /** Calls a second; Infinity: nothing was refused yet, or not for a long time. */
  get perS(): number {
    return this.#perS;
  }

  answered(nowMs: number): void {
    const answeredPerS = this.#answered.record(nowMs);
    if (this.#perS === Number.POSITIVE_INFINITY) return;
    const elapsedS = (nowMs - this.#refusedAtMs) / 1_000;
    const cubic = SCALE * (elapsedS - this.#plateauS) ** 3 + this.#lastMaxPerS;
    this.#perS = Math.max(Math.min(cubic, HEADROOM * answeredPerS), MIN_PER_S);
  }

  /**
   * A call was refused that was sent at `sentAtMs`. Calls that were on their way when the rate was last lowered say nothing
   * of the lower rate, so their refusals do not lower it again.
   */
  refused(sentAtMs: number, nowMs: number): void {
    if (sentAtMs < this.#refusedAtMs) return;
    this.#lastMaxPerS = Math.max(Math.min(this.#perS, this.#answered.perS), MIN_PER_S);
    this.#plateauS = Math.cbrt((this.#lastMaxPerS * (1 - BETA)) / SCALE);
    this.#refusedAtMs = nowMs;
    this.#perS = Math.max(BETA * this.#lastMaxPerS, MIN_PER_S);
  }

  /** Nothing has been refused for a long time: without limit again. */
  forget(): void {
    this.#perS = Number.POSITIVE_INFINITY;
  }

  get refusedAtMs(): number {
    return this.#refusedAtMs;
  }
}
