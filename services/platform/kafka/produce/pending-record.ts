import { Link } from '../../../core/collections/linked-list.ts';

export interface OutgoingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, string | Buffer>>;
  /** The value to send once an earlier send of this record ended with an unclear result. */
  readonly resendValue?: () => Buffer;
}

/** The keeper of the accounts of records on their way. */
interface Account {
  settled(pending: PendingRecord): void;
}

/** A record on its way: settled once, whatever happens later. */
export class PendingRecord extends Link {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly enqueuedAtMs = performance.now();
  sentBefore = false;
  settled = false;
  readonly #account: Account;
  readonly #onSettled: (error?: Error) => void;

  constructor(record: OutgoingRecord, bytes: number, account: Account, onSettled: (error?: Error) => void) {
    super();
    this.record = record;
    this.bytes = bytes;
    this.#account = account;
    this.#onSettled = onSettled;
  }

  /** @param error why it was given up; undefined: Kafka has it. */
  settle(error?: Error): void {
    if (this.settled) return;
    this.settled = true;
    this.#account.settled(this);
    this.#onSettled(error);
  }
}
