import type { EncodedMessage } from './encode-message.ts';
import type { ParleyClientError } from './errors.ts';

/** A message from `send()` until it is acked or given up. */
export interface Entry {
  readonly message: EncodedMessage;
  /** The order of the calls of `send`, which the order of sending again follows. */
  readonly sequence: number;
  /** 1 for the first send; a higher number makes Parley look for an earlier one. */
  attempt: number;
  readonly settled: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: ParleyClientError) => void;
}

/** Ids are unique within a conversation; neither holds U+0000 ({@link encodeMessage}). */
const keyOf = (id: string, conversationId: string): string => `${conversationId}\0${id}`;

/**
 * The messages that are not acked yet: ready to go, to go again, or sent. Sets keep their insertion order, so each is
 * a queue out of which any entry can be taken.
 */
export class Outbox {
  readonly #ready = new Set<Entry>();
  /** In the order of the calls, at most as many as may be in flight. */
  #again: Entry[] = [];
  readonly #sent = new Set<Entry>();
  readonly #byKey = new Map<string, Entry>();
  #calls = 0;
  #chars = 0;

  /** Characters of the frames that are not settled. */
  get chars(): number {
    return this.#chars;
  }

  /** All that is not settled. */
  get size(): number {
    return this.#byKey.size;
  }

  get sentCount(): number {
    return this.#sent.size;
  }

  /** @returns a promise that settles with the message; the same message once more gets the same promise. */
  add(message: EncodedMessage): Promise<void> {
    const key = keyOf(message.id, message.conversationId);
    const same = this.#byKey.get(key);
    if (same) return same.settled;
    let resolve: () => void = () => {};
    let reject: (error: ParleyClientError) => void = () => {};
    const settled = new Promise<void>((done, failed) => {
      resolve = done;
      reject = failed;
    });
    // Who does not look at the promise is told by the listeners; an unhandled rejection would end the host.
    settled.catch(() => {});
    const entry = { message, sequence: this.#calls++, attempt: message.attempt, settled, resolve, reject };
    this.#byKey.set(key, entry);
    this.#ready.add(entry);
    this.#chars += message.head.length;
    return settled;
  }

  /** The next message to send, now counted as sent; what goes again goes first. */
  take(): Entry | undefined {
    const [next] = this.#again.length > 0 ? this.#again.splice(0, 1) : this.#ready;
    if (!next) return undefined;
    this.#ready.delete(next);
    this.#sent.add(next);
    return next;
  }

  /** @returns the message, unless none of this name waits for an answer. */
  acked(id: string, conversationId: string | undefined): EncodedMessage | undefined {
    const entry = this.#settle(id, conversationId);
    entry?.resolve();
    return entry?.message;
  }

  refused(id: string, conversationId: string | undefined, error: ParleyClientError): boolean {
    const entry = this.#settle(id, conversationId);
    entry?.reject(error);
    return entry !== undefined;
  }

  /** @param unclear whether Kafka may have it all the same. */
  postponed(id: string, conversationId: string | undefined, unclear: boolean): boolean {
    const entry = this.#sentAs(id, conversationId);
    if (!entry) return false;
    this.#sent.delete(entry);
    if (unclear) entry.attempt += 1;
    // Mostly the last place: nacks come in the order of the messages.
    const before = this.#again.findLastIndex(({ sequence }) => sequence < entry.sequence);
    this.#again.splice(before + 1, 0, entry);
    return true;
  }

  /**
   * What was sent may or may not have arrived: all of it goes again, before anything else and in the order of the calls, since
   * a gateway refuses a conversation's later messages until the first that it refused has come again. @returns how many.
   */
  connectionLost(): number {
    const lost = [...this.#sent];
    this.#sent.clear();
    for (const entry of lost) entry.attempt += 1;
    this.#again = [...this.#again, ...lost].sort((a, b) => a.sequence - b.sequence);
    return lost.length;
  }

  /** The longest frame among those that wait for an answer. */
  largestSent(): EncodedMessage | undefined {
    let largest: EncodedMessage | undefined;
    for (const { message } of this.#sent) {
      if (!largest || message.head.length > largest.head.length) largest = message;
    }
    return largest;
  }

  rejectAll(error: ParleyClientError): void {
    const all = [...this.#byKey.values()];
    this.#ready.clear();
    this.#sent.clear();
    this.#again = [];
    this.#byKey.clear();
    this.#chars = 0;
    for (const entry of all) entry.reject(error);
  }

  /** Where the conversation is not named, the one message of that id; where there are two, none, rather than the wrong one. */
  #sentAs(id: string, conversationId: string | undefined): Entry | undefined {
    if (conversationId !== undefined) {
      const entry = this.#byKey.get(keyOf(id, conversationId));
      return entry && this.#sent.has(entry) ? entry : undefined;
    }
    const found = [...this.#sent].filter(({ message }) => message.id === id);
    return found.length === 1 ? found[0] : undefined;
  }

  #settle(id: string, conversationId: string | undefined): Entry | undefined {
    const entry = this.#sentAs(id, conversationId);
    if (!entry) return undefined;
    this.#sent.delete(entry);
    this.#byKey.delete(keyOf(id, entry.message.conversationId));
    this.#chars -= entry.message.head.length;
    return entry;
  }
}
