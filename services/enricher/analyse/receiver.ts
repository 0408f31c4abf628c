/**
 * Who is told, once and never from within the asking, what came of a request. Methods and no promise: thousands are in
 * flight, and each promise is dear to keep.
 */
export interface Receiver<Value> {
  received(value: Value): void;
  failed(error: unknown): void;
}

/** Passes on what `read` makes of a reply, or why it can make nothing of it. */
export class Reading<Reply, Value> implements Receiver<Reply> {
  readonly #receiver: Receiver<Value>;
  readonly #read: (reply: Reply) => Value;

  constructor(receiver: Receiver<Value>, read: (reply: Reply) => Value) {
    this.#receiver = receiver;
    this.#read = read;
  }

  received(reply: Reply): void {
    let value: Value;
    try {
      value = this.#read(reply);
    } catch (error) {
      this.#receiver.failed(error);
      return;
    }
    this.#receiver.received(value);
  }

  failed(error: unknown): void {
    this.#receiver.failed(error);
  }
}
