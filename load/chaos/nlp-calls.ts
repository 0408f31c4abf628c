/** One document sent to the NLP API by a process. */
export interface NlpCall {
  readonly id: string;
  /** Which process: `enricher-1#2` is the second of that name. */
  readonly life: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** When its answer was complete; null while it is not, or never. */
  answeredAtMs: number | null;
}

/** Every document that the enrichers sent to the NLP API, in order: what a paid API would bill. */
export class NlpCalls {
  readonly #byId = new Map<string, NlpCall[]>();
  count = 0;

  begin(id: string, life: string, atMs: number): NlpCall {
    const call: NlpCall = { id, life, atMs, answeredAtMs: null };
    const before = this.#byId.get(id);
    if (before) before.push(call);
    else this.#byId.set(id, [call]);
    this.count++;
    return call;
  }

  /** All documents by id, each one's calls in order. */
  byId(): ReadonlyMap<string, readonly NlpCall[]> {
    return this.#byId;
  }

  /**
   * Calls of documents that had been sent before.
   *
   * @param isJudged false for a message that stands in the log more than once: each record of it may need a call.
   */
  repeats(isJudged: (id: string) => boolean): readonly NlpCall[] {
    return [...this.#byId].filter(([id]) => isJudged(id)).flatMap(([, [, ...again]]) => again);
  }
}
