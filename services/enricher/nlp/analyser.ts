import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../core/errors.ts';
import type { Insight } from '../../core/records.ts';
import { NlpError } from './nlp-errors.ts';
import { isBrokenCircuit, type NlpPolicy } from './nlp-policy.ts';
import type { OutageGate } from './outage-gate.ts';
import type { NlpProvider } from './providers/provider.ts';

export interface AnalyseRequest {
  readonly id: string;
  readonly text: string;
  /** False once the claim is lost: nobody waits for the answer. */
  readonly stillWanted: () => boolean;
  /** Monotonic milliseconds after which a hedge is not worth it; -Infinity: no hedge (replay, or over its budget already). */
  readonly hedgeUntilMs: number;
  /** What to do while the breaker is open: wait for the API, or come back at once with `unavailable`. */
  readonly onOutage: 'wait' | 'return';
}

/** What the NLP API made of one text, after all retries and waits. */
export type Analysis =
  | {
      readonly kind: 'analysed';
      readonly insight: Insight;
      readonly nlpMs: number;
      readonly attempts: number;
      readonly cacheHit: boolean;
    }
  | { readonly kind: 'rejected'; readonly detail: string; readonly attempts: number; readonly cause: string }
  | { readonly kind: 'exhausted'; readonly detail: string; readonly attempts: number; readonly cause: string }
  /** The breaker is open, and the request did not want to wait. */
  | { readonly kind: 'unavailable'; readonly attempts: number }
  /** The partition was lost meanwhile; nobody waits for the answer. */
  | { readonly kind: 'abandoned' };

export interface AnalyserOptions {
  readonly provider: NlpProvider;
  readonly policy: NlpPolicy;
  readonly gate: OutageGate;
  /** Between two rounds of retries while the breaker is closed. */
  readonly roundDelayMs: () => number;
  readonly onCall: (seconds: number, result: string) => void;
}

/**
 * Asks the NLP API until there is an answer that stands. A text is given up only for its own sake: rejected, or its
 * retries spent while the API works for others (breaker closed). An outage makes it wait or come back, a throttle wait.
 */
export class Analyser {
  readonly #options: AnalyserOptions;

  constructor(options: AnalyserOptions) {
    this.#options = options;
  }

  async analyse(request: AnalyseRequest): Promise<Analysis> {
    const { policy, gate } = this.#options;
    let attempts = 0;
    for (;;) {
      if (!gate.isOpen) {
        if (request.onOutage === 'wait') await gate.enter();
        else if (!gate.tryEnter()) return { kind: 'unavailable', attempts };
      }
      if (!request.stillWanted()) {
        gate.left();
        return { kind: 'abandoned' };
      }
      try {
        const { insight, nlpMs } = await policy.execute((signal) => {
          attempts++;
          return this.#call(request, signal);
        }, request);
        return { kind: 'analysed', insight, nlpMs, attempts, cacheHit: false };
      } catch (error) {
        const verdict = this.#verdict(error);
        if (verdict !== 'wait') {
          return { kind: verdict, detail: messageOf(error), attempts, cause: (error as NlpError).cause_code };
        }
        // Throttled with the breaker closed, say: the gate alone would let it through again at once.
        if (gate.isOpen) await delay(this.#options.roundDelayMs());
      }
    }
  }

  async #call(request: AnalyseRequest, signal: AbortSignal): Promise<{ insight: Insight; nlpMs: number }> {
    const { provider, onCall } = this.#options;
    const started = performance.now();
    let result = 'ok';
    try {
      const [document] = await provider.analyze([request], signal);
      if (!document?.ok) throw document?.error;
      return { insight: document.insight, nlpMs: Math.round(performance.now() - started) };
    } catch (error) {
      result = error instanceof NlpError ? error.cause_code : 'other';
      throw error;
    } finally {
      onCall((performance.now() - started) / 1_000, result);
    }
  }

  #verdict(error: unknown): 'wait' | 'rejected' | 'exhausted' {
    if (isBrokenCircuit(error)) return 'wait';
    if (!(error instanceof NlpError)) throw error;
    if (error.failure === 'rejected' || error.failure === 'too_large') return 'rejected';
    if (error.failure === 'failed' && this.#options.policy.state === 'closed') return 'exhausted';
    return 'wait';
  }
}
