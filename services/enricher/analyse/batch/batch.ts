import type { Insight } from '../../../core/records.ts';
import type { AnalyseRequest } from '../analysis.ts';
import type { NlpDocument } from '../provider/provider.ts';

/** What came of one document, with the requests to the API that it took part in. */
export type Answer =
  | { readonly ok: true; readonly insight: Insight; readonly nlpMs: number; readonly attempts: number }
  /** The error is an NlpError, or the breaker's. */
  | { readonly ok: false; readonly error: unknown; readonly attempts: number };

/** Who asked for a document's answer. */
export interface Asker {
  answered(answer: Answer): void;
}

/** One document that waits for its answer. */
export class Ticket {
  readonly document: NlpDocument;
  /** In a request's body, at most. */
  readonly bytes: number;
  readonly #request: AnalyseRequest;
  readonly #asker: Asker;
  #attempts = 0;

  constructor(request: AnalyseRequest, document: NlpDocument, bytes: number, asker: Asker) {
    this.document = document;
    this.bytes = bytes;
    this.#request = request;
    this.#asker = asker;
  }

  get isWanted(): boolean {
    return this.#request.stillWanted();
  }

  get hedgeUntilMs(): number {
    return this.#request.hedgeUntilMs;
  }

  attempted(calls: number): void {
    this.#attempts += calls;
  }

  succeed(insight: Insight, nlpMs: number): void {
    this.#asker.answered({ ok: true, insight, nlpMs, attempts: this.#attempts });
  }

  fail(error: unknown): void {
    this.#asker.answered({ ok: false, error, attempts: this.#attempts });
  }
}

/**
 * The documents of one request. It is open until its first call is made: what comes while it waits for a permit still
 * gets on.
 */
export class Batch {
  readonly tickets: Ticket[];
  bytes: number;
  hedgeUntilMs: number;
  isOpen = true;
  /** Requests made: more than one after a retry or a hedge. */
  calls = 0;
  documents: readonly NlpDocument[] = [];

  constructor(first: Ticket) {
    this.tickets = [first];
    this.bytes = first.bytes;
    this.hedgeUntilMs = first.hedgeUntilMs;
  }

  static of([first, ...rest]: readonly [Ticket, ...Ticket[]]): Batch {
    const batch = new Batch(first);
    for (const ticket of rest) batch.add(ticket);
    return batch;
  }

  get size(): number {
    return this.tickets.length;
  }

  add(ticket: Ticket): void {
    this.tickets.push(ticket);
    this.bytes += ticket.bytes;
    // One that still hopes for a quick answer is enough; what hedges cost is bounded elsewhere.
    if (ticket.hedgeUntilMs > this.hedgeUntilMs) this.hedgeUntilMs = ticket.hedgeUntilMs;
  }

  /** Nobody gets on any more, and those that nobody waits for get off; one always stays, for the call to be a call. */
  seal(onLeft: (ticket: Ticket) => void): void {
    this.isOpen = false;
    const { tickets } = this;
    const [first] = tickets as [Ticket];
    if (tickets.length === 1) {
      this.documents = [first.document];
      return;
    }
    for (let index = tickets.length - 1; index >= 0 && tickets.length > 1; index--) {
      const ticket = tickets[index] as Ticket;
      if (ticket.isWanted) continue;
      tickets.splice(index, 1);
      onLeft(ticket);
    }
    this.documents = tickets.map(({ document }) => document);
  }

  /** Two batches of half the documents each. */
  halves(): [Batch, Batch] {
    const middle = this.size >> 1;
    const part = (tickets: readonly Ticket[]) => Batch.of(tickets as [Ticket, ...Ticket[]]);
    return [part(this.tickets.slice(0, middle)), part(this.tickets.slice(middle))];
  }
}
