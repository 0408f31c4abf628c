import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../core/errors.ts';
import type { AnalyseRequest, Analysis } from './analysis.ts';
import type { MicroBatcher } from './micro-batcher.ts';
import { NlpError } from './nlp-errors.ts';
import { isBrokenCircuit } from './nlp-policy.ts';
import type { OutageGate } from './outage-gate.ts';

export interface ApiAnalyserOptions {
  readonly batcher: Pick<MicroBatcher, 'ask'>;
  readonly gate: OutageGate;
  /** Between two rounds of retries while the breaker is closed. */
  readonly roundDelayMs: () => number;
}

/**
 * Asks the NLP API until there is an answer that stands. A text is given up only for its own sake: rejected, or its
 * retries spent while the API works for others. An outage makes it wait or come back, as the request
 * wants; a throttle makes it wait.
 */
export class ApiAnalyser {
  readonly #options: ApiAnalyserOptions;

  constructor(options: ApiAnalyserOptions) {
    this.#options = options;
  }

  async analyse(request: AnalyseRequest): Promise<Analysis> {
    const { batcher, gate } = this.#options;
    const maySkip = request.onOutage === 'return';
    let attempts = 0;
    for (;;) {
      const probing = !gate.isOpen;
      if (probing) {
        if (!maySkip) await gate.enter();
        else if (!gate.tryEnter()) return { kind: 'unavailable', attempts };
        if (!request.stillWanted()) {
          gate.left();
          return { kind: 'abandoned' };
        }
      }
      const answer = await batcher.ask(request);
      attempts += answer.attempts;
      if (answer.ok) {
        return { kind: 'analysed', insight: answer.insight, nlpMs: answer.nlpMs, attempts, cacheHit: false };
      }
      if (!request.stillWanted()) {
        if (probing) gate.left();
        return { kind: 'abandoned' };
      }
      const { error } = answer;
      const verdict = this.#verdict(error);
      if (verdict !== 'wait') {
        return { kind: verdict, detail: messageOf(error), attempts, cause: (error as NlpError).cause_code };
      }
      // Throttled with the breaker closed, say: the gate alone would let it through again at once.
      if (gate.isOpen) await delay(this.#options.roundDelayMs());
    }
  }

  #verdict(error: unknown): 'wait' | 'rejected' | 'exhausted' {
    if (isBrokenCircuit(error)) return 'wait';
    if (!(error instanceof NlpError)) throw error;
    if (error.failure === 'rejected' || error.failure === 'too_large') return 'rejected';
    if (error.failure === 'failed' && this.#options.gate.apiWorks) return 'exhausted';
    return 'wait';
  }
}
