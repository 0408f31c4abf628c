import type { ParleyClientError } from './errors.ts';
import type { OutgoingMessage } from './frames.ts';

/** A message from `send()` until it is acked or given up. */
export interface Entry {
  readonly id: string;
  readonly message: OutgoingMessage & { readonly id: string; readonly sent_at: number };
  /** 1 for the first send; a higher number makes Parley look for an earlier one. */
  attempt: number;
  readonly settled: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: ParleyClientError) => void;
  /** Messages of other conversations with the same id: an ack names only the id, so they go one after another. */
  followers: Entry[] | undefined;
}

/**
 * The messages that are not acked yet: ready to go, to go again, or sent. Sets keep their insertion order, so each is
 * a queue out of which any entry can be taken.
 */
export class Outbox {
  readonly #ready = new Set<Entry>();
  readonly #again = new Set<Entry>();
  readonly #sent = new Set<Entry>();
  readonly #byId = new Map<string, Entry>();
  #size = 0;

  /** All that is not settled. */
  get size(): number {
    return this.#size;
  }

  get sentCount(): number {
    return this.#sent.size;
  }

  /** @returns a promise that settles with the message; the same message once more gets the same promise. */
  add(message: OutgoingMessage & { readonly id: string; readonly sent_at: number }): Promise<void> {
    const { id, conversation_id } = message;
    const first = this.#byId.get(id);
    const same = [first, ...(first?.followers ?? [])].find((it) => it?.message.conversation_id === conversation_id);
    if (same) return same.settled;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { attempt = 1 } = message;
    const entry: Entry = { id, message, attempt, settled: promise, resolve, reject, followers: undefined };
    this.#size += 1;
    if (first) {
      first.followers ??= [];
      first.followers.push(entry);
    } else {
      this.#byId.set(id, entry);
      this.#ready.add(entry);
    }
    return promise;
  }

  /** The next message to send, now counted as sent; what goes again goes first. */
  take(): Entry | undefined {
    const queue = this.#again.size > 0 ? this.#again : this.#ready;
    for (const entry of queue) {
      queue.delete(entry);
      this.#sent.add(entry);
      return entry;
    }
    return undefined;
  }

  acked(id: string): boolean {
    const entry = this.#settle(id);
    entry?.resolve();
    return entry !== undefined;
  }

  refused(id: string, error: ParleyClientError): boolean {
    const entry = this.#settle(id);
    entry?.reject(error);
    return entry !== undefined;
  }

  /** @param unclear whether Kafka may have it all the same. */
  postponed(id: string, unclear: boolean): boolean {
    const entry = this.#byId.get(id);
    if (!entry || !this.#sent.delete(entry)) return false;
    if (unclear) entry.attempt += 1;
    this.#again.add(entry);
    return true;
  }

  /** What was sent may or may not have arrived: all of it goes again, before anything else. @returns how many. */
  connectionLost(): number {
    const lost = [...this.#sent];
    this.#sent.clear();
    const waiting = [...this.#again];
    this.#again.clear();
    for (const entry of lost) {
      entry.attempt += 1;
      this.#again.add(entry);
    }
    for (const entry of waiting) this.#again.add(entry);
    return lost.length;
  }

  rejectAll(error: ParleyClientError): void {
    const all = [...this.#byId.values()].flatMap((entry) => [entry, ...(entry.followers ?? [])]);
    for (const set of [this.#ready, this.#again, this.#sent]) set.clear();
    this.#byId.clear();
    this.#size = 0;
    for (const entry of all) entry.reject(error);
  }

  #settle(id: string): Entry | undefined {
    const entry = this.#byId.get(id);
    if (!entry || !this.#sent.delete(entry)) return undefined;
    this.#size -= 1;
    const [next, ...followers] = entry.followers ?? [];
    if (next) {
      next.followers = followers;
      this.#byId.set(id, next);
      this.#ready.add(next);
    } else {
      this.#byId.delete(id);
    }
    return entry;
  }
}
