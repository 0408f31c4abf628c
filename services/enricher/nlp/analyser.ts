import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../core/errors.ts';
import type { Insight } from '../../core/records.ts';
import type { NlpClient } from './nlp-client.ts';
import { NlpError } from './nlp-errors.ts';
import { isBrokenCircuit, type NlpPolicy } from './nlp-policy.ts';
import type { OutageGate } from './outage-gate.ts';

/** What the NLP API made of one text, after all retries and waits. */
export type Analysis =
  | { readonly kind: 'analysed'; readonly insight: Insight; readonly nlpMs: number; readonly attempts: number }
  | { readonly kind: 'rejected'; readonly detail: string; readonly attempts: number }
  | { readonly kind: 'exhausted'; readonly detail: string; readonly attempts: number }
  /** The partition was lost meanwhile; nobody waits for the answer. */
  | { readonly kind: 'abandoned' };

export interface AnalyserOptions {
  readonly client: NlpClient;
  readonly policy: NlpPolicy;
  readonly gate: OutageGate;
  /** Between two rounds of retries while the breaker is closed. */
  readonly roundDelayMs: () => number;
  readonly onCall: (seconds: number, result: string) => void;
}

/**
 * Asks the NLP API until there is an answer that stands. A text is given up only for its own sake: rejected, or its
 * retries spent while the API works for others (breaker closed). An outage or a throttle makes it wait.
 */
export class Analyser {
  readonly #options: AnalyserOptions;

  constructor(options: AnalyserOptions) {
    this.#options = options;
  }

  async analyse(id: string, text: string, stillWanted: () => boolean): Promise<Analysis> {
    const { policy, gate } = this.#options;
    let attempts = 0;
    for (;;) {
      await gate.enter();
      if (!stillWanted()) {
        gate.left();
        return { kind: 'abandoned' };
      }
      try {
        const { insight, nlpMs } = await policy.execute((signal) => {
          attempts++;
          return this.#call(id, text, signal);
        });
        return { kind: 'analysed', insight, nlpMs, attempts };
      } catch (error) {
        const verdict = this.#verdict(error);
        if (verdict !== 'wait') return { kind: verdict, detail: messageOf(error), attempts };
        // Throttled with the breaker closed, say: the gate alone would let it through again at once.
        if (gate.isOpen) await delay(this.#options.roundDelayMs());
      }
    }
  }

  async #call(id: string, text: string, signal: AbortSignal): Promise<{ insight: Insight; nlpMs: number }> {
    const { client, onCall } = this.#options;
    const started = performance.now();
    let result = 'ok';
    try {
      const insight = await client.analyze(id, text, signal);
      return { insight, nlpMs: Math.round(performance.now() - started) };
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
    if (error.failure === 'rejected') return 'rejected';
    if (error.failure === 'failed' && this.#options.policy.state === 'closed') return 'exhausted';
    return 'wait';
  }
}
