import type { Cancellation } from './cancellation.ts';

/*
 * The three ways in which answers come back on a record's way through the enricher. They are methods of objects that are
 * there anyway and no promises: thousands of calls are in flight, and a promise kept for each costs memory and CPU
 * (docs/adr/0012-hot-path.md).
 *
 * The contract of all three:
 *
 * 1. A receiver gets `received` or `failed`: one of them, once.
 * 2. It may get it before the function that took the receiver returns, where the answer is known already. Providers alone
 *    never do that, since the maker of an attempt needs its cancellation first.
 * 3. A callback returns at once and does not throw. What `received` throws all the same comes back to the same receiver as
 *    `failed`; other documents, messages and calls get their own answers (`deliver`).
 * 4. A call delivers its answer before it gives its permit back, so that nothing that follows can lose the answer.
 */

/** Takes what came of something that was asked for. */
export interface Receiver<Value> {
  received(value: Value): void;
  /** @param error an NlpError or the breaker's where the API is at fault; anything else was not foreseen. */
  failed(error: unknown): void;
}

/**
 * What the policy takes to the API: the documents of a batch. It makes attempts until one succeeds or none is left; then it
 * gets the value, or the error of the last attempt.
 */
export interface NlpRequest<Reply, Value> extends Receiver<Value> {
  /** Monotonic time after which an answer is late anyway, so that no hedge is spent on it. */
  readonly hedgeUntilMs: number;
  /** False once nothing waits for the answer any more. */
  readonly isWanted: boolean;
  /** Makes one attempt. A cancelled one fails at once. */
  attempt(cancellation: Cancellation, receiver: Receiver<Reply>): void;
  /** What an attempt's reply says. @throws {NlpError} where that is a failure. */
  read(reply: Reply, tookMs: number): Value;
  attemptFailed(error: unknown, tookMs: number, cancellation: Cancellation): void;
}

/** Gives a permit back; to be called once. */
export type Release = () => void;

/** Waits for a permit. */
export interface Holder {
  /** The permit is the holder's until it releases it. */
  held(release: Release): void;
}

/** Gives one of several receivers its value; a receiver that throws fails alone. */
export function deliver<Value>(receiver: Receiver<Value>, value: Value): void {
  try {
    receiver.received(value);
  } catch (error) {
    receiver.failed(error);
  }
}

/** Passes on what a promise brings, on the ways that few records take. */
export function forward<Value>(outcome: Promise<Value>, receiver: Receiver<Value>): void {
  outcome.then(
    (value) => receiver.received(value),
    (error: unknown) => receiver.failed(error),
  );
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
