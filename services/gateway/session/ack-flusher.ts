/**
 * Gathers acks over one turn of the event loop: Kafka acks a batch at once, and a socket with several messages in it
 * gets one frame (a frame is a system call).
 */
export class AckFlusher {
  #marked: { flushAcks(): void }[] = [];

  /** The session will be flushed at the end of this turn; it marks itself once a turn. */
  mark(session: { flushAcks(): void }): void {
    this.#marked.push(session);
    if (this.#marked.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const marked = this.#marked;
    this.#marked = [];
    for (const session of marked) session.flushAcks();
  }
}
