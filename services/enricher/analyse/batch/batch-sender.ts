import type { Cancellation } from '../cancellation.ts';
import { SUPERSEDED } from '../cancellation.ts';
import { garbage, NlpError } from '../nlp-errors.ts';
import type { Errand, NlpPolicy } from '../policy/nlp-policy.ts';
import type { DocumentResult, NlpProvider } from '../provider/provider.ts';
import type { Receiver } from '../receiver.ts';
import { Batch, type Ticket } from './batch.ts';
import { RequestPacer } from './request-pacer.ts';

export interface SenderOptions {
  readonly provider: NlpProvider;
  readonly policy: Pick<NlpPolicy, 'execute' | 'state'>;
  /** Each request to the API. `result`: `ok`, `superseded` by the other call of a hedge, or the cause of its failure. */
  readonly onCall: (seconds: number, result: string) => void;
  /** A document of a batch failed and is tried again, alone. */
  readonly onRetry: (cause: string) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** What a sender learns on the way. */
export interface SenderEvents {
  /** Nobody gets on this batch any more. */
  readonly sealed: (batch: Batch) => void;
  readonly tooLarge: (documents: number) => void;
  /** The API has no batches: the documents are sent alone. */
  readonly noBatches: () => void;
}

interface Reply {
  readonly results: readonly DocumentResult[];
  readonly nlpMs: number;
}

/**
 * Takes a batch through the policy to the provider and hands each document its own result. A document never fails for
 * another's sake: a batch that fails for good is halved until what is at fault is alone; an error of one document within
 * a good batch leaves the others alone, and it is tried again by itself where that may help.
 *
 * The policy's permit, retries and breaker count requests.
 */
export class BatchSender {
  readonly #options: SenderOptions;
  readonly #events: SenderEvents;
  readonly #pacer: RequestPacer<Batch> | undefined;
  /** Over all requests, retries and hedges among them. */
  documentsSent = 0;

  constructor(options: SenderOptions, events: SenderEvents) {
    const { requestsPerS } = options.provider.limits;
    this.#options = options;
    this.#events = events;
    if (requestsPerS !== undefined) {
      this.#pacer = new RequestPacer(requestsPerS, (batch) => this.#execute(batch), options.now);
    }
  }

  send(batch: Batch): void {
    if (this.#pacer) this.#pacer.submit(batch);
    else this.#execute(batch);
  }

  close(): void {
    this.#pacer?.close();
  }

  #execute(batch: Batch): void {
    this.#options.policy.execute(new Sending(this, batch));
  }

  call(batch: Batch, cancellation: Cancellation, receiver: Receiver<readonly DocumentResult[]>): void {
    if (batch.isOpen) this.#seal(batch);
    if (batch.calls++ > 0) this.#pacer?.charge();
    this.documentsSent += batch.size;
    this.#options.provider.analyze(batch.documents, receiver, cancellation);
  }

  read(batch: Batch, results: readonly DocumentResult[], tookMs: number): Reply {
    const [first] = results;
    // Alone, a document's failure is the request's: it is the policy's to retry, and the breaker's to count.
    if (batch.size === 1 && !first?.ok) throw first?.error ?? garbage();
    this.#options.onCall(tookMs / 1_000, 'ok');
    return { results, nlpMs: Math.round(tookMs) };
  }

  attemptFailed(error: unknown, tookMs: number, cancellation: Cancellation): void {
    this.#options.onCall(tookMs / 1_000, resultOf(error, cancellation));
  }

  #seal(batch: Batch): void {
    batch.seal(dismiss);
    this.#events.sealed(batch);
  }

  deliver(batch: Batch, { results, nlpMs }: Reply): void {
    for (let index = 0; index < batch.tickets.length; index++) {
      const ticket = batch.tickets[index] as Ticket;
      const result = results[index];
      ticket.attempted(batch.calls);
      if (result?.ok) ticket.succeed(result.insight, nlpMs);
      else this.#retryAlone(ticket, result?.error ?? garbage());
    }
  }

  #retryAlone(ticket: Ticket, error: NlpError): void {
    if (error.failure !== 'failed' && error.failure !== 'throttled') {
      ticket.fail(error);
      return;
    }
    this.#options.onRetry(error.cause_code);
    this.send(new Batch(ticket));
  }

  fail(batch: Batch, error: unknown): void {
    // The breaker may have refused it before it was sealed.
    if (batch.isOpen) this.#seal(batch);
    for (const ticket of batch.tickets) ticket.attempted(batch.calls);
    const failure = batch.size > 1 && error instanceof NlpError ? error.failure : undefined;
    if (failure === 'no_batches') {
      this.#events.noBatches();
      for (const ticket of batch.tickets) this.send(new Batch(ticket));
    } else if (failure !== undefined && this.#mayBeOneDocuments(failure)) {
      if (failure === 'too_large') this.#events.tooLarge(batch.size);
      for (const half of batch.halves()) this.send(half);
    } else for (const ticket of batch.tickets) ticket.fail(error);
  }

  /** Whether one document may be at fault for all. */
  #mayBeOneDocuments(failure: NlpError['failure']): boolean {
    if (failure === 'failed') return this.#options.policy.state === 'closed';
    return failure === 'too_large' || failure === 'rejected';
  }
}

/** A batch under the policy. */
class Sending implements Errand<readonly DocumentResult[], Reply> {
  readonly #sender: BatchSender;
  readonly #batch: Batch;

  constructor(sender: BatchSender, batch: Batch) {
    this.#sender = sender;
    this.#batch = batch;
  }

  get hedgeUntilMs(): number {
    return this.#batch.hedgeUntilMs;
  }
  ask(cancellation: Cancellation, receiver: Receiver<readonly DocumentResult[]>): void {
    this.#sender.call(this.#batch, cancellation, receiver);
  }
  read(results: readonly DocumentResult[], tookMs: number): Reply {
    return this.#sender.read(this.#batch, results, tookMs);
  }
  attemptFailed(error: unknown, tookMs: number, cancellation: Cancellation): void {
    this.#sender.attemptFailed(error, tookMs, cancellation);
  }
  succeeded(reply: Reply): void {
    this.#sender.deliver(this.#batch, reply);
  }
  failed(error: unknown): void {
    this.#sender.fail(this.#batch, error);
  }
}

/** The partition was lost before the document was sent. */
const NOT_WANTED = new Error('nobody waits for this document any more');
const dismiss = (ticket: Ticket): void => ticket.fail(NOT_WANTED);

function resultOf(error: unknown, cancellation: Cancellation): string {
  if (cancellation.reason === SUPERSEDED) return 'superseded';
  return error instanceof NlpError ? error.cause_code : 'other';
}
