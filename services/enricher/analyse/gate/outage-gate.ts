import type { NlpPolicy } from '../policy/nlp-policy.ts';
import { ApiHealth } from './api-health.ts';

/**
 * Holds messages back while the breaker is open, so that nothing is burnt against an API that is down: they wait here,
 * and Kafka holds the rest; or they are turned away, and get a degraded outcome.
 *
 *     pass ──breaker opens──▶ hold ──half-open time──▶ probe ──a message──▶ probing ──success──▶ pass
 *                               ▲                                              │
 *                               └───────────────────failure────────────────────┘
 *
 * Exactly one message probes: cockatiel would park every other caller of a half-open breaker and let
 * them all go at once. Bounded by the messages in flight.
 *
 * Messages that wait and messages that are turned away probe in turns. If those that wait always did, one text that the API
 * chokes on would keep the gate closed for all messages that do not wait.
 */
export class OutageGate {
  readonly #probeAfterMs: number;
  readonly #onChange: (open: boolean) => void;
  readonly #health = new ApiHealth();
  #state: 'pass' | 'hold' | 'probe' | 'probing' = 'pass';
  #waiting: (() => void)[] = [];
  /** The last probe was a message that had waited. */
  #waiterProbed = false;
  /** A message was turned away since the last probe. */
  #turnedAway = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(policy: Pick<NlpPolicy, 'breaker'>, probeAfterMs: number, onChange: (open: boolean) => void) {
    this.#probeAfterMs = probeAfterMs;
    this.#onChange = onChange;
    policy.breaker.onBreak(() => this.#hold());
    policy.breaker.onReset(() => this.#pass());
    policy.breaker.onSuccess(() => this.#health.attempted(true));
    // What the breaker does not handle (a rejection, a throttle) is an answer too.
    policy.breaker.onFailure(({ handled }) => this.#health.attempted(!handled));
  }

  /** Whether a text whose retries are spent is itself at fault: the API works for others. */
  get apiWorks(): boolean {
    return this.#state === 'pass' && this.#health.works;
  }

  /** False while messages would only wait: intake pauses. */
  get isOpen(): boolean {
    return this.#state === 'pass';
  }

  /** Messages held back. */
  get held(): number {
    return this.#waiting.length;
  }

  /** Resolves when a call may be tried: at once while all is well. */
  async enter(): Promise<void> {
    if (this.#mayEnter()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Whether a call may be tried now; false: the caller is turned away. */
  tryEnter(): boolean {
    if (this.#mayEnter()) return true;
    this.#turnedAway = true;
    return false;
  }

  /** A message that had entered went away without a call: if it was the probe, the next one is. */
  left(): void {
    if (this.#state === 'probing') this.#probe();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #mayEnter(): boolean {
    if (this.#state === 'pass') return true;
    if (this.#state !== 'probe') return false;
    clearTimeout(this.#timer);
    this.#state = 'probing';
    return true;
  }

  #hold(): void {
    if (this.#state === 'pass') this.#onChange(false);
    this.#state = 'hold';
    this.#in(this.#probeAfterMs, () => this.#probe());
  }

  #probe(): void {
    if (this.#waiterProbed && this.#turnedAway) {
      // The next message to come is the probe; if none does, one of those that wait is all the same.
      this.#state = 'probe';
      this.#in(this.#probeAfterMs, () => this.#probeWaiter());
    } else this.#probeWaiter();
    this.#waiterProbed = this.#state === 'probing';
    this.#turnedAway = false;
  }

  #probeWaiter(): void {
    const next = this.#waiting.shift();
    // Where none waits, the next message to come is the probe.
    this.#state = next ? 'probing' : 'probe';
    next?.();
  }

  #pass(): void {
    clearTimeout(this.#timer);
    if (this.#state !== 'pass') this.#onChange(true);
    this.#state = 'pass';
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #in(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }
}
