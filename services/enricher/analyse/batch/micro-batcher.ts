import { BLANK_ANALYSIS, isBlank } from '../blank-text.ts';
import { NlpError } from '../nlp-errors.ts';
import { ArrivalRate } from './arrival-rate.ts';
import type { Batch, BatchItem } from './batch.ts';
import { type ApiBatch, BatchSender, type SenderOptions } from './batch-sender.ts';
import { fitText } from './text-limit.ts';

export interface BatcherOptions extends SenderOptions {
  /** `off`: a request a document; `on`: always gathered; `auto`: gathered as soon as that fills batches. */
  readonly mode: 'off' | 'on' | 'auto';
  /** Bounds of a batch, besides the provider's own. */
  readonly maxDocuments: number;
  readonly maxBytes: number;
  /** How long the first document of a batch waits for others. */
  readonly lingerMs: number;
  /** The API turned out to have no batches. */
  readonly onNoBatches: () => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
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
 * Gathers documents into requests:
 *
 *     gathering ──full, or linger over──▶ sent ──permit──▶ sealed ─▶ answered
 *         └────── auto, at a low rate ─────▶ (open until the permit)
 *
 * A batch that waits for a permit stays open, so that the scarcer permits are the fuller batches become. Bounded by the
 * messages in flight.
 */
export class MicroBatcher {
  readonly #options: BatcherOptions;
  readonly #now: () => number;
  readonly #sender: BatchSender;
  readonly #rate: ArrivalRate;
  /** Configured, and allowed by the provider. */
  readonly #mostDocuments: number;
  readonly #maxBytes: number;
  /** At present. */
  #maxDocuments: number;
  #restoreAtMs = Number.POSITIVE_INFINITY;
  /** Takes further documents. */
  #open: ApiBatch | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(options: BatcherOptions) {
    const { limits } = options.provider;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#mostDocuments = options.mode === 'off' ? 1 : Math.min(options.maxDocuments, limits.maxDocuments);
    this.#maxDocuments = this.#mostDocuments;
    this.#maxBytes = Math.min(options.maxBytes, limits.maxRequestBytes) - limits.requestOverheadBytes;
    this.#rate = new ArrivalRate(this.#now);
    const events = {
      sealed: (batch: Batch) => {
        if (this.#open === batch) this.#open = undefined;
      },
      tooLarge: (documents: number) => this.#lower(documents >> 1, SMALLER_FOR_MS),
      noBatches: () => {
        if (this.#maxDocuments > 1) options.onNoBatches();
        this.#lower(1, SINGLE_FOR_MS);
      },
    };
    this.#sender = new BatchSender(options, events);
  }

  ask(item: BatchItem): void {
    const { request } = item;
    const { limits } = this.#options.provider;
    const text = fitText(request.text, limits);
    if (text === undefined) {
      item.failed(tooLong(limits.maxTextChars));
      return;
    }
    if (text !== request.text && isBlank(text)) {
      item.received(BLANK_ANALYSIS);
      return;
    }
    item.document = text === request.text ? request : { id: request.id, text, span: request.span };
    if (this.#mostDocuments === 1) {
      this.#sender.send(this.#sender.batch(item));
      return;
    }
    item.bytes = limits.documentOverheadBytes + jsonBytes(request.id) + jsonBytes(text);
    this.#place(item);
  }

  /** Over all requests, retries and hedges among them. */
  get documentsSent(): number {
    return this.#sender.documentsSent;
  }

  /** Documents of a request at present, at most. */
  get maxDocuments(): number {
    return this.#maxDocuments;
  }

  close(): void {
    clearTimeout(this.#linger);
  }

  #place(item: BatchItem): void {
    this.#rate.record();
    if (this.#now() >= this.#restoreAtMs) this.#restore();
    const open = this.#open;
    if (open && open.bytes + item.bytes <= this.#maxBytes && open.size < this.#maxDocuments) {
      open.add(item);
      if (open.size >= this.#maxDocuments) this.#closeOpen();
      return;
    }
    this.#closeOpen();
    const batch = this.#sender.batch(item);
    if (this.#maxDocuments === 1 || batch.bytes >= this.#maxBytes) {
      this.#sender.send(batch);
      return;
    }
    this.#open = batch;
    if (this.#isWorthGathering()) this.#linger = setTimeout(() => this.#lingered(), this.#options.lingerMs);
    else this.#sender.send(batch);
  }

  #isWorthGathering(): boolean {
    const { mode, lingerMs } = this.#options;
    return mode === 'on' || this.#rate.perMs * lingerMs >= WORTH_GATHERING;
  }

  /** The batch stays open until it has a permit. */
  #lingered(): void {
    this.#linger = undefined;
    if (this.#open) this.#sender.send(this.#open);
  }

  /** The open batch takes no further documents; it is sent, unless it is already. */
  #closeOpen(): void {
    const batch = this.#open;
    this.#open = undefined;
    if (this.#linger === undefined) return;
    clearTimeout(this.#linger);
    this.#linger = undefined;
    if (batch) this.#sender.send(batch);
  }

  #lower(documents: number, forMs: number): void {
    if (documents >= this.#maxDocuments) return;
    this.#maxDocuments = documents;
    this.#restoreAtMs = this.#now() + forMs;
    if (this.#open && this.#open.size >= documents) this.#closeOpen();
  }

  #restore(): void {
    this.#maxDocuments = this.#mostDocuments;
    this.#restoreAtMs = Number.POSITIVE_INFINITY;
  }
}

const tooLong = (maxTextChars: number): NlpError =>
  new NlpError('rejected', 'text_too_long', `the text exceeds ${maxTextChars} characters`);

/** Bytes of a text within JSON, at most. */
const jsonBytes = (text: string): number =>
  text.length < MEASURED_FROM_UNITS ? text.length * MAX_BYTES_PER_UNIT : Buffer.byteLength(JSON.stringify(text)) - 2;
