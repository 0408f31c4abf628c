import { messageOf } from '../../../core/errors.ts';
import type { Analysed, AnalyseRequest, Analysis } from '../analysis.ts';
import { BatchItem } from '../batch/batch.ts';
import type { MicroBatcher } from '../batch/micro-batcher.ts';
import type { Receiver } from '../callbacks.ts';
import { NlpError } from '../nlp-errors.ts';
import { isBrokenCircuit } from '../policy/breaker.ts';
import { HeldBackError } from '../policy/send-rate.ts';
import type { OutageGate } from './outage-gate.ts';

export interface ApiAnalyserOptions {
  readonly batcher: Pick<MicroBatcher, 'ask'>;
  readonly gate: OutageGate;
  /** Between two rounds of retries while the breaker is closed. */
  readonly roundDelayMs: () => number;
}

/**
 * Asks the NLP API until there is an answer that stands. A text is given up only for its own sake: rejected, or its
 * retries spent while the API works for others. In an outage, a lasting throttle included, a request waits or comes back,
 * as it says itself; a short throttle makes it wait.
 */
export class ApiAnalyser {
  readonly #options: ApiAnalyserOptions;

  constructor(options: ApiAnalyserOptions) {
    this.#options = options;
  }

  ask(request: AnalyseRequest, receiver: Receiver<Analysis>): void {
    new PendingAnalysis(this.#options, request, receiver).ask();
  }
}

const ABANDONED: Analysis = { kind: 'abandoned' };

/** One request on its way to an analysis, from round to round of retries. */
class PendingAnalysis extends BatchItem {
  readonly #options: ApiAnalyserOptions;
  readonly #receiver: Receiver<Analysis>;
  #probing = false;

  constructor(options: ApiAnalyserOptions, request: AnalyseRequest, receiver: Receiver<Analysis>) {
    super(request);
    this.#options = options;
    this.#receiver = receiver;
  }

  /** Asks the API, through the gate where that is closed. */
  ask(): void {
    const { batcher, gate } = this.#options;
    this.#probing = !gate.isOpen;
    if (!this.#probing) batcher.ask(this);
    else if (this.request.onOutage === 'wait') void gate.enter().then(() => this.#entered());
    else if (gate.tryEnter()) this.#entered();
    else this.#receiver.received({ kind: 'unavailable', attempts: this.attempts });
  }

  received(analysis: Analysed): void {
    this.#receiver.received(analysis);
  }

  failed(error: unknown): void {
    if (!this.request.stillWanted()) this.#abandon();
    else if (isBrokenCircuit(error)) this.#askAgain();
    else if (error instanceof HeldBackError) this.#heldBack();
    else if (!(error instanceof NlpError)) this.#receiver.failed(error);
    else {
      const verdict = this.#verdict(error);
      if (verdict) this.#receiver.received(verdict);
      else this.#askAgain();
    }
  }

  #entered(): void {
    if (this.request.stillWanted()) this.#options.batcher.ask(this);
    else this.#abandon();
  }

  #abandon(): void {
    if (this.#probing) this.#options.gate.left();
    this.#receiver.received(ABANDONED);
  }

  /** The API admits no more calls for now, and for longer than a message should wait. */
  #heldBack(): void {
    if (this.#probing) this.#options.gate.left();
    if (this.request.onOutage === 'wait') this.#askAgain();
    else this.#receiver.received({ kind: 'unavailable', attempts: this.attempts });
  }

  #askAgain(): void {
    const { gate, roundDelayMs } = this.#options;
    // Throttled with the breaker closed, say: the gate alone would let it through again at once.
    if (gate.isOpen) setTimeout(() => this.ask(), roundDelayMs());
    else this.ask();
  }

  /** Undefined: the request waits and is made again. */
  #verdict(error: NlpError): Analysis | undefined {
    const { failure, cause_code: cause } = error;
    const why = { detail: messageOf(error), attempts: this.attempts, cause };
    if (failure === 'rejected' || failure === 'too_large') return { kind: 'rejected', ...why };
    const isForItsOwnSake = failure === 'failed' && this.#options.gate.apiWorks;
    return isForItsOwnSake ? { kind: 'exhausted', ...why } : undefined;
  }
}
