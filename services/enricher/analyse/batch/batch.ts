import type { Analysed, AnalyseRequest } from '../analysis.ts';
import type { Receiver } from '../callbacks.ts';
import type { NlpDocument } from '../provider/provider.ts';

/** One document of a batch, and the receiver of its analysis. */
export abstract class BatchItem implements Receiver<Analysed> {
  readonly request: AnalyseRequest;
  /** What is sent: the request itself, or its text cut to the API's limits. */
  document: NlpDocument;
  /** In a request's body, at most. */
  bytes = 0;
  /** Requests to the API that the document was part of. */
  attempts = 0;

  constructor(request: AnalyseRequest) {
    this.request = request;
    this.document = request;
  }

  abstract received(analysis: Analysed): void;
  abstract failed(error: unknown): void;
}

/** The documents of one request. It is open until its first attempt: what comes while it waits for a permit is added. */
export class Batch {
  readonly items: BatchItem[];
  bytes: number;
  hedgeUntilMs: number;
  isOpen = true;
  /** Attempts made: more than one after a retry or a hedge. */
  attempts = 0;
  documents: readonly NlpDocument[] = [];

  constructor(first: BatchItem) {
    this.items = [first];
    this.bytes = first.bytes;
    this.hedgeUntilMs = first.request.hedgeUntilMs;
  }

  get size(): number {
    return this.items.length;
  }

  get isWanted(): boolean {
    return this.items.some(({ request }) => request.stillWanted());
  }

  add(item: BatchItem): void {
    this.items.push(item);
    this.bytes += item.bytes;
    // One that still hopes for a quick answer is enough; what hedges cost is bounded elsewhere.
    if (item.request.hedgeUntilMs > this.hedgeUntilMs) this.hedgeUntilMs = item.request.hedgeUntilMs;
  }

  /**
   * Closes the batch and takes out the items that are no longer wanted. One item always stays, so that there is something
   * to send.
   *
   * @returns what was taken out.
   */
  seal(): readonly BatchItem[] {
    this.isOpen = false;
    const { items } = this;
    const [first] = items as [BatchItem];
    if (items.length === 1) {
      this.documents = [first.document];
      return NONE;
    }
    const removed: BatchItem[] = [];
    for (let index = items.length - 1; index >= 0 && items.length > 1; index--) {
      if ((items[index] as BatchItem).request.stillWanted()) continue;
      removed.push(...items.splice(index, 1));
    }
    this.documents = items.map(({ document }) => document);
    return removed;
  }
}

const NONE: readonly BatchItem[] = [];
