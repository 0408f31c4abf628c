import { messageOf } from '../../../core/errors.ts';
import type { AnalyseRequest, Analysis } from '../analysis.ts';
import type { Answer, Asker } from '../batch/batch.ts';
import type { MicroBatcher } from '../batch/micro-batcher.ts';
import { NlpError } from '../nlp-errors.ts';
import { isBrokenCircuit } from '../policy/breaker.ts';
import type { OutageGate } from './outage-gate.ts';

export interface ApiAnalyserOptions {
  readonly batcher: Pick<MicroBatcher, 'ask'>;
  readonly gate: OutageGate;
  /** Between two rounds of retries while the breaker is closed. */
  readonly roundDelayMs: () => number;
}

/** Who wants to know what came of a request. No promise: thousands are in flight, and each promise is dear to keep. */
export interface Listener {
  /** Does not throw. */
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

  ask(request: AnalyseRequest, listener: Listener): void {
    new Inquiry(this.#options, request, listener).ask();
  }
}

const ABANDONED: Analysis = { kind: 'abandoned' };

/** One request, from round to round. Methods and no awaiting: thousands are in flight, and a suspended function is dear. */
class Inquiry implements Asker {
  readonly #options: ApiAnalyserOptions;
  readonly #request: AnalyseRequest;
  readonly #listener: Listener;
  #attempts = 0;
  #probing = false;

  constructor(options: ApiAnalyserOptions, request: AnalyseRequest, listener: Listener) {
    this.#options = options;
    this.#request = request;
    this.#listener = listener;
  }

  /** Asks the API, through the gate where that is closed. */
  ask(): void {
    const { batcher, gate } = this.#options;
    this.#probing = !gate.isOpen;
    if (!this.#probing) batcher.ask(this.#request, this);
    else if (this.#request.onOutage === 'wait') void gate.enter().then(() => this.#entered());
    else if (gate.tryEnter()) this.#entered();
    else this.#listener.analysed({ kind: 'unavailable', attempts: this.#attempts });
  }

  answered(answer: Answer): void {
    this.#attempts += answer.attempts;
    if (answer.ok) {
      const { insight, nlpMs } = answer;
      this.#listener.analysed({ kind: 'analysed', insight, nlpMs, attempts: this.#attempts, cacheHit: false });
    } else if (this.#request.stillWanted()) this.#failed(answer.error);
    else this.#abandon();
  }

  #entered(): void {
    if (this.#request.stillWanted()) this.#options.batcher.ask(this.#request, this);
    else this.#abandon();
  }

  #abandon(): void {
    if (this.#probing) this.#options.gate.left();
    this.#listener.analysed(ABANDONED);
  }

  #failed(error: unknown): void {
    const { gate, roundDelayMs } = this.#options;
    if (!isBrokenCircuit(error)) {
      if (!(error instanceof NlpError)) {
        this.#listener.failed(error);
        return;
      }
      const verdict = this.#verdict(error);
      if (verdict) {
        this.#listener.analysed(verdict);
        return;
      }
    }
    // Throttled with the breaker closed, say: the gate alone would let it through again at once.
    if (gate.isOpen) setTimeout(() => this.ask(), roundDelayMs());
    else this.ask();
  }

  /** Undefined: it waits and tries again. */
  #verdict(error: NlpError): Analysis | undefined {
    const { failure, cause_code: cause } = error;
    const told = { detail: messageOf(error), attempts: this.#attempts, cause };
    if (failure === 'rejected' || failure === 'too_large') return { kind: 'rejected', ...told };
    const isForItsOwnSake = failure === 'failed' && this.#options.gate.apiWorks;
    return isForItsOwnSake ? { kind: 'exhausted', ...told } : undefined;
  }
}
