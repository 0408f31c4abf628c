import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import { TokenBucket } from '../../core/token-bucket.ts';
import { type FaultSettings, NO_FAULTS } from './settings.ts';

const FAULT_KINDS = [
  'error',
  'hang',
  'drop',
  'garbage',
  'slow',
  'rate_limit',
  'document_error',
  'rejected_text',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What happens to one request. `throttle` is answered at once, all others after the request's latency. */
export type Fate =
  | { readonly kind: 'answer' }
  | { readonly kind: 'throttle'; readonly retryAfterS: number }
  | { readonly kind: 'error'; readonly status: number; readonly retryAfterS: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'drop'; readonly midway: boolean }
  | { readonly kind: 'garbage'; readonly variant: number };

const ANSWER: Fate = { kind: 'answer' };

/** Decides, by seeded chance, what goes wrong with each request, and counts it. */
export class FaultInjector {
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #onFault: (kind: FaultKind) => void;
  #settings: FaultSettings = NO_FAULTS;
  #bucket: TokenBucket | undefined;
  #counts = zeroCounts();

  constructor(random: Random, clock: Clock, onFault: (kind: FaultKind) => void = () => {}) {
    this.#random = random;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  /** The settings in force and how often each kind was injected since they were set. */
  get state(): { faults: FaultSettings; injected: Readonly<Record<FaultKind, number>> } {
    return { faults: this.#settings, injected: { ...this.#counts } };
  }

  /** Replaces all settings at once; counts start again at 0. */
  set(settings: FaultSettings): void {
    this.#settings = settings;
    this.#counts = zeroCounts();
    const limit = settings.rate_limit;
    this.#bucket =
      limit &&
      new TokenBucket(limit.requests_per_s, limit.burst ?? Math.max(1, Math.ceil(limit.requests_per_s)), this.#clock);
  }

  clear(): void {
    this.set(NO_FAULTS);
  }

  #count<T extends Fate>(kind: FaultKind, fate: T): T {
    this.#counts[kind] += 1;
    this.#onFault(kind);
    return fate;
  }

  fate(): Fate {
    const settings = this.#settings;
    if (settings === NO_FAULTS) return ANSWER;
    const waitMs = this.#bucket?.take() ?? 0;
    if (waitMs > 0) {
      return this.#count('rate_limit', { kind: 'throttle', retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)) });
    }
    // One draw on the unit interval: each fault owns a stretch of it, the rest is an ordinary answer.
    let left = this.#random();
    const hits = (share: number) => {
      left -= share;
      return left < 0;
    };
    for (const [status, share] of Object.entries(settings.errors)) {
      if (!hits(share)) continue;
      return this.#count('error', { kind: 'error', status: Number(status), retryAfterS: settings.retry_after_s });
    }
    if (hits(settings.hang_rate)) return this.#count('hang', { kind: 'hang' });
    if (hits(settings.drop_rate)) return this.#count('drop', { kind: 'drop', midway: this.#random() < 0.5 });
    if (hits(settings.garbage_rate)) {
      return this.#count('garbage', { kind: 'garbage', variant: Math.floor(this.#random() * 4) });
    }
    return ANSWER;
  }

  /** The latency of one request, slowed or not, in milliseconds. */
  slowed(latencyMs: number): number {
    const { slow } = this.#settings;
    if (!slow || this.#random() >= slow.rate) return latencyMs;
    this.#count('slow', ANSWER);
    return latencyMs * slow.factor + slow.extra_ms;
  }

  documentFails(): boolean {
    const fails = this.#settings.document_error_rate > 0 && this.#random() < this.#settings.document_error_rate;
    if (fails) this.#count('document_error', ANSWER);
    return fails;
  }

  rejects(text: string): boolean {
    const { reject_containing: unwanted } = this.#settings;
    const rejected = unwanted !== undefined && text.includes(unwanted);
    if (rejected) this.#count('rejected_text', ANSWER);
    return rejected;
  }
}

function zeroCounts(): Record<FaultKind, number> {
  return Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>;
}
