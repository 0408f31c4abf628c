import type { Analysed } from '../analysis.ts';
import { deliver, type NlpRequest, type Receiver } from '../callbacks.ts';
import { type Cancellation, SUPERSEDED } from '../cancellation.ts';
import { garbage, NlpError } from '../nlp-errors.ts';
import type { NlpPolicy } from '../policy/nlp-policy.ts';
import type { DocumentResult, NlpProvider } from '../provider/provider.ts';
import { Batch, type BatchItem } from './batch.ts';

export interface SenderOptions {
  readonly provider: NlpProvider;
  readonly policy: Pick<NlpPolicy, 'execute' | 'state' | 'throttled'>;
  /** Each request to the API. `result`: `ok`, `superseded` by the other attempt of a hedged request, or the cause of its failure. */
  readonly onCall: (seconds: number, result: string) => void;
  /** A document of a batch failed and is tried again, alone. */
  readonly onRetry: (cause: string) => void;
}

/** What a sender learns on the way. */
export interface SenderEvents {
  /** The batch takes no further documents. */
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
 * Takes batches through the policy to the provider and hands each document its own result. A document never fails for
 * another's sake: a batch that fails for good is halved until the document at fault is alone; an error of one document in
 * a good batch leaves the others alone, and that document is sent again by itself where that may help.
 *
 * The policy's permit, retries and breaker count requests, not documents.
 */
export class BatchSender {
  readonly #options: SenderOptions;
  readonly #events: SenderEvents;
  /** Over all requests, retries and hedges among them. */
  documentsSent = 0;

  constructor(options: SenderOptions, events: SenderEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** A batch that begins with `first` and is not sent yet. */
  batch(first: BatchItem): ApiBatch {
    return new ApiBatch(this, first);
  }

  send(batch: ApiBatch): void {
    this.#options.policy.execute(batch);
  }

  attempt(batch: Batch, cancellation: Cancellation, receiver: Receiver<readonly DocumentResult[]>): void {
    if (batch.isOpen) this.#seal(batch);
    batch.attempts++;
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

  received(batch: Batch, { results, nlpMs }: Reply): void {
    if (batch.size > 1 && results.some(isThrottled)) this.#options.policy.throttled();
    for (let index = 0; index < batch.items.length; index++) {
      const item = batch.items[index] as BatchItem;
      const result = results[index];
      item.attempts += batch.attempts;
      if (result?.ok) deliver(item, analysed(result.insight, nlpMs, item.attempts));
      else this.#retryAlone(item, result?.error ?? garbage());
    }
  }

  failed(batch: Batch, error: unknown): void {
    // The breaker may have refused it before it was sealed.
    if (batch.isOpen) this.#seal(batch);
    const { items, size } = batch;
    for (const item of items) item.attempts += batch.attempts;
    const failure = size > 1 && error instanceof NlpError ? error.failure : undefined;
    if (failure === 'no_batches') {
      this.#events.noBatches();
      for (const item of items) this.#sendAgain([item]);
    } else if (failure !== undefined && this.#mayBeOneDocuments(failure)) {
      if (failure === 'too_large') this.#events.tooLarge(size);
      this.#sendAgain(items.slice(0, size >> 1));
      this.#sendAgain(items.slice(size >> 1));
    } else for (const item of items) item.failed(error);
  }

  #seal(batch: Batch): void {
    for (const item of batch.seal()) item.failed(NOT_WANTED);
    this.#events.sealed(batch);
  }

  #retryAlone(item: BatchItem, error: NlpError): void {
    if (error.failure !== 'failed' && error.failure !== 'throttled') {
      item.failed(error);
      return;
    }
    this.#options.onRetry(error.cause_code);
    this.#sendAgain([item]);
  }

  #sendAgain([first, ...rest]: readonly BatchItem[]): void {
    const batch = this.batch(first as BatchItem);
    for (const item of rest) batch.add(item);
    this.send(batch);
  }

  /** Whether one document may be at fault for all. */
  #mayBeOneDocuments(failure: NlpError['failure']): boolean {
    if (failure === 'failed') return this.#options.policy.state === 'closed';
    return failure === 'too_large' || failure === 'rejected';
  }
}

/** A batch as the policy sees it. */
export class ApiBatch extends Batch implements NlpRequest<readonly DocumentResult[], Reply> {
  readonly #sender: BatchSender;

  constructor(sender: BatchSender, first: BatchItem) {
    super(first);
    this.#sender = sender;
  }

  attempt(cancellation: Cancellation, receiver: Receiver<readonly DocumentResult[]>): void {
    this.#sender.attempt(this, cancellation, receiver);
  }
  read(results: readonly DocumentResult[], tookMs: number): Reply {
    return this.#sender.read(this, results, tookMs);
  }
  attemptFailed(error: unknown, tookMs: number, cancellation: Cancellation): void {
    this.#sender.attemptFailed(error, tookMs, cancellation);
  }
  received(reply: Reply): void {
    this.#sender.received(this, reply);
  }
  failed(error: unknown): void {
    this.#sender.failed(this, error);
  }
}

const analysed = (insight: Analysed['insight'], nlpMs: number, attempts: number): Analysed => ({
  kind: 'analysed',
  insight,
  nlpMs,
  attempts,
  cacheHit: false,
});

const isThrottled = (result: DocumentResult): boolean => !result.ok && result.error.failure === 'throttled';

/** The partition was lost before the document was sent. */
const NOT_WANTED = new Error('the document is no longer wanted');

function resultOf(error: unknown, cancellation: Cancellation): string {
  if (cancellation.reason === SUPERSEDED) return 'superseded';
  return error instanceof NlpError ? error.cause_code : 'other';
}
