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

/** Who else wants to know what came of a request: told at once, without a promise of its own. */
export interface Listener {
  analysed(analysis: Analysis): void;
  /** Nothing that is foreseen. */
  failed(error: unknown): void;
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

  async analyse(request: AnalyseRequest, listener?: Listener): Promise<Analysis> {
    const { batcher, gate } = this.#options;
    try {
      for (let attempts = 0; ; ) {
        const probing = !gate.isOpen;
        const obstacle = probing ? await this.#pass(request, attempts) : undefined;
        if (obstacle) return tell(listener, obstacle);
        const answer = await batcher.ask(request);
        attempts += answer.attempts;
        if (answer.ok) {
          const { insight, nlpMs } = answer;
          return tell(listener, { kind: 'analysed', insight, nlpMs, attempts, cacheHit: false });
        }
        if (!request.stillWanted()) {
          if (probing) gate.left();
          return tell(listener, ABANDONED);
        }
        const verdict = this.#verdict(answer.error, attempts);
        if (verdict) return tell(listener, verdict);
        // Throttled with the breaker closed, say: the gate alone would let it through again at once.
        if (gate.isOpen) await delay(this.#options.roundDelayMs());
      }
    } catch (error) {
      listener?.failed(error);
      throw error;
    }
  }

  /** Through a gate that is closed; or what became of the request there. */
  async #pass(request: AnalyseRequest, attempts: number): Promise<Analysis | undefined> {
    const { gate } = this.#options;
    if (request.onOutage === 'wait') await gate.enter();
    else if (!gate.tryEnter()) return { kind: 'unavailable', attempts };
    if (request.stillWanted()) return undefined;
    gate.left();
    return ABANDONED;
  }

  /** Undefined: it waits and tries again. */
  #verdict(error: unknown, attempts: number): Analysis | undefined {
    if (isBrokenCircuit(error)) return undefined;
    if (!(error instanceof NlpError)) throw error;
    const { failure, cause_code: cause } = error;
    const told = { detail: messageOf(error), attempts, cause };
    if (failure === 'rejected' || failure === 'too_large') return { kind: 'rejected', ...told };
    const isForItsOwnSake = failure === 'failed' && this.#options.gate.apiWorks;
    return isForItsOwnSake ? { kind: 'exhausted', ...told } : undefined;
  }
}

const ABANDONED: Analysis = { kind: 'abandoned' };

function tell(listener: Listener | undefined, analysis: Analysis): Analysis {
  listener?.analysed(analysis);
  return analysis;
}
