/** Told once how the work on a record ended. No promise: thousands are in flight, and each promise is dear to keep. */
export interface Completion {
  /** @param isDone Kafka has acked all that the record gave rise to; false: its claim was lost on the way. */
  done(isDone: boolean): void;
  /** Nothing that is foreseen. */
  failed(error: unknown): void;
}

/** For the ways that few records take. */
export function settle(completion: Completion, outcome: Promise<boolean>): void {
  outcome.then(
    (isDone) => completion.done(isDone),
    (error: unknown) => completion.failed(error),
  );
}
