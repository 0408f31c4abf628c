import type { AnalyseRequest } from './analysis.ts';
import { ArrivalRate } from './arrival-rate.ts';
import { type Answer, Batch, Ticket } from './batch.ts';
import { SUPERSEDED } from './hedger.ts';
import { garbage, NlpError } from './nlp-errors.ts';
import type { NlpPolicy } from './nlp-policy.ts';
import type { DocumentResult, NlpProvider } from './providers/provider.ts';
import { RequestPacer } from './request-pacer.ts';
import { fitText } from './text-limit.ts';

export interface BatcherOptions {
  readonly provider: NlpProvider;
  readonly policy: Pick<NlpPolicy, 'execute' | 'state'>;
  /** `off`: a request a document; `on`: always gathered; `auto`: gathered as soon as that fills batches. */
  readonly mode: 'off' | 'on' | 'auto';
  /** Bounds of a batch, besides the provider's own. */
  readonly maxDocuments: number;
  readonly maxBytes: number;
  /** How long the first document of a batch waits for others. */
  readonly lingerMs: number;
  /** Each request to the API. `result`: `ok`, `superseded` by the other call of a hedge, or the cause of its failure. */
  readonly onCall: (seconds: number, result: string, documents: number) => void;
  /** A document of a batch failed and is tried again, alone. */
  readonly onRetry: (cause: string) => void;
  /** The API turned out to have no batches. */
  readonly onNoBatches: () => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Reply {
  readonly results: readonly DocumentResult[];
  readonly nlpMs: number;
}

/** `auto` gathers when at least so many documents are to be expected within the linger. */
const WORTH_GATHERING = 2;
/** After a batch that was too large the next ones are smaller for a while; a missing batch path is not looked for again sooner. */
const SMALLER_FOR_MS = 60_000;
const SINGLE_FOR_MS = 600_000;
/** JSON's worst: a UTF-16 unit written as `\uXXXX`. */
const MAX_BYTES_PER_UNIT = 6;
/** Longer texts are measured instead of reckoned at their worst. */
const MEASURED_FROM_UNITS = 512;

/**
 * Gathers documents into requests and hands each document its own result:
 *
 *     gathering ──full, or linger over──▶ sent ──permit──▶ sealed ─▶ answered ─▶ each document its result
 *         └────── auto, at a low rate ─────▶ (open until the permit)   │
 *                                                    too large, rejected or failed as a whole ─▶ two halves
 *
 * A document never fails for another's sake: a batch that fails for good is halved until what is at fault is alone; an
 * error of one document within a good batch leaves the others alone, and it is tried again by itself where that may help.
 * The policy's permit, retries and breaker count requests. Bounded by the messages in flight.
 */
export class MicroBatcher {
  readonly #options: BatcherOptions;
  readonly #now: () => number;
  readonly #maxBytes: number;
  readonly #rate: ArrivalRate;
  readonly #pacer: RequestPacer | undefined;
  #maxDocuments: number;
  #restoreAtMs = Number.POSITIVE_INFINITY;
  /** Takes further documents. */
  #open: Batch | undefined;
  #linger: NodeJS.Timeout | undefined;
  /** Batches that wait for their turn at an API with a rate. */
  readonly #paced: Batch[] = [];
  #pace: NodeJS.Timeout | undefined;

  constructor(options: BatcherOptions) {
    const { limits } = options.provider;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#maxBytes = Math.min(options.maxBytes, limits.maxRequestBytes) - limits.requestOverheadBytes;
    this.#maxDocuments = this.#configuredDocuments;
    this.#rate = new ArrivalRate(this.#now);
    this.#pacer = limits.requestsPerS === undefined ? undefined : new RequestPacer(limits.requestsPerS, this.#now);
  }

  ask(request: AnalyseRequest): Promise<Answer> {
    const { limits } = this.#options.provider;
    const text = fitText(request.text, limits);
    if (text === undefined) return Promise.resolve(tooLong(limits.maxTextChars));
    const document = text === request.text ? request : { id: request.id, text };
    if (this.#configuredDocuments === 1) {
      return new Promise((resolve) => this.#send(new Batch(new Ticket(request, document, 0, resolve))));
    }
    const bytes = limits.documentOverheadBytes + jsonBytes(request.id) + jsonBytes(text);
    return new Promise((resolve) => this.#place(new Ticket(request, document, bytes, resolve)));
  }

  close(): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#pace);
  }

  get #configuredDocuments(): number {
    const { mode, maxDocuments, provider } = this.#options;
    return mode === 'off' ? 1 : Math.min(maxDocuments, provider.limits.maxDocuments);
  }

  #place(ticket: Ticket): void {
    this.#rate.record();
    if (this.#now() >= this.#restoreAtMs) this.#restore();
    const open = this.#open;
    if (open && open.bytes + ticket.bytes <= this.#maxBytes && open.size < this.#maxDocuments) {
      open.add(ticket);
      if (open.size >= this.#maxDocuments) this.#closeOpen();
      return;
    }
    this.#closeOpen();
    const batch = new Batch(ticket);
    if (this.#maxDocuments === 1 || batch.bytes >= this.#maxBytes) this.#send(batch);
    else {
      this.#open = batch;
      if (this.#isWorthGathering()) this.#linger = setTimeout(() => this.#lingered(), this.#options.lingerMs);
      else this.#send(batch);
    }
  }

  #isWorthGathering(): boolean {
    const { mode, lingerMs } = this.#options;
    return mode === 'on' || this.#rate.perMs * lingerMs >= WORTH_GATHERING;
  }

  /** It stays open: until there is a permit, more may get on. */
  #lingered(): void {
    this.#linger = undefined;
    if (this.#open) this.#send(this.#open);
  }

  /** Nobody gets on the open batch any more; it is sent, unless it is already. */
  #closeOpen(): void {
    const batch = this.#open;
    this.#open = undefined;
    if (this.#linger === undefined) return;
    clearTimeout(this.#linger);
    this.#linger = undefined;
    if (batch) this.#send(batch);
  }

  #send(batch: Batch): void {
    const pacer = this.#pacer;
    if (!pacer) this.#execute(batch);
    else if (this.#paced.length > 0 || pacer.waitMs > 0) {
      this.#paced.push(batch);
      this.#pace ??= setTimeout(() => this.#sendPaced(pacer), pacer.waitMs);
    } else {
      pacer.take();
      this.#execute(batch);
    }
  }

  #sendPaced(pacer: RequestPacer): void {
    while (this.#paced.length > 0 && pacer.waitMs === 0) {
      pacer.take();
      this.#execute(this.#paced.shift() as Batch);
    }
    this.#pace = this.#paced.length > 0 ? setTimeout(() => this.#sendPaced(pacer), pacer.waitMs) : undefined;
  }

  #execute(batch: Batch): void {
    this.#options.policy
      .execute((signal) => this.#call(batch, signal), batch)
      .then(
        (reply) => this.#deliver(batch, reply),
        (error: unknown) => this.#fail(batch, error),
      );
  }

  async #call(batch: Batch, signal: AbortSignal): Promise<Reply> {
    const { provider, onCall } = this.#options;
    if (batch.isOpen) this.#seal(batch);
    if (batch.calls++ > 0) this.#pacer?.take();
    const startedAtMs = performance.now();
    try {
      const results = await provider.analyze(batch.documents, signal);
      const [first] = results;
      // Alone, a document's failure is the request's: it is the policy's to retry, and the breaker's to count.
      if (batch.size === 1 && !first?.ok) throw first?.error ?? garbage();
      const tookMs = performance.now() - startedAtMs;
      onCall(tookMs / 1_000, 'ok', batch.size);
      return { results, nlpMs: Math.round(tookMs) };
    } catch (error) {
      onCall((performance.now() - startedAtMs) / 1_000, resultOf(error, signal), batch.size);
      throw error;
    }
  }

  #seal(batch: Batch): void {
    if (this.#open === batch) this.#open = undefined;
    batch.seal((ticket) => ticket.fail(NOT_WANTED));
  }

  #deliver(batch: Batch, { results, nlpMs }: Reply): void {
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
    this.#send(new Batch(ticket));
  }

  #fail(batch: Batch, error: unknown): void {
    // The breaker may have refused it before it was sealed.
    if (batch.isOpen) this.#seal(batch);
    for (const ticket of batch.tickets) ticket.attempted(batch.calls);
    if (batch.size === 1 || !(error instanceof NlpError)) failAll(batch, error);
    else if (error.failure === 'no_batches') this.#sendSingly(batch);
    else if (error.failure === 'too_large') {
      this.#lower(batch.size >> 1, SMALLER_FOR_MS);
      this.#sendHalves(batch);
    } else if (
      error.failure === 'rejected' ||
      (error.failure === 'failed' && this.#options.policy.state === 'closed')
    ) {
      // One of them may be at fault for all.
      this.#sendHalves(batch);
    } else failAll(batch, error);
  }

  #sendHalves(batch: Batch): void {
    for (const half of batch.halves()) this.#send(half);
  }

  #sendSingly(batch: Batch): void {
    if (this.#maxDocuments > 1) this.#options.onNoBatches();
    this.#lower(1, SINGLE_FOR_MS);
    for (const ticket of batch.tickets) this.#send(new Batch(ticket));
  }

  #lower(documents: number, forMs: number): void {
    if (documents >= this.#maxDocuments) return;
    this.#maxDocuments = documents;
    this.#restoreAtMs = this.#now() + forMs;
    if (this.#open && this.#open.size >= documents) this.#closeOpen();
  }

  #restore(): void {
    this.#maxDocuments = this.#configuredDocuments;
    this.#restoreAtMs = Number.POSITIVE_INFINITY;
  }
}

/** The partition was lost before the document was sent. */
const NOT_WANTED = new Error('nobody waits for this document any more');

function tooLong(maxTextChars: number): Answer {
  const error = new NlpError('rejected', 'text_too_long', `the text exceeds ${maxTextChars} characters`);
  return { ok: false, error, attempts: 0 };
}

function failAll(batch: Batch, error: unknown): void {
  for (const ticket of batch.tickets) ticket.fail(error);
}

function resultOf(error: unknown, signal: AbortSignal): string {
  if (signal.reason === SUPERSEDED) return 'superseded';
  return error instanceof NlpError ? error.cause_code : 'other';
}

const jsonBytes = (text: string): number =>
  text.length < MEASURED_FROM_UNITS ? text.length * MAX_BYTES_PER_UNIT : Buffer.byteLength(JSON.stringify(text)) - 2;
