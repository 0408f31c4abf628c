import { LRUCache } from 'lru-cache';
import { conversationKey } from '../core/partitioner.ts';
import type { Identity, ValidMessage } from './frame-validator.ts';

export interface KnownMessagesOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly windowMs: number;
}

/** Per entry beside its key: the string's header, one slot of the map and of each of the cache's arrays. */
const ENTRY_OVERHEAD_BYTES = 150;

/**
 * Message keys of the last minutes: what Kafka has (a duplicate is acked at once) and what it may have (a send that
 * timed out: the next try is marked as resent). An optimisation with bounds; what it forgets is found by the sink,
 * which keeps half an hour in a Bloom filter.
 *
 * A usual key has 100 characters: 250 bytes an entry, so 131,072 entries stay below 33 MB, which is 43 s at 3,000
 * messages a second, twice a client's longest backoff. Keys of the greatest length are bounded by the bytes instead:
 * 4 × 128 two-byte characters make 1.2 KB, and 48 MiB hold 42,000.
 */
export class KnownMessages {
  readonly #states: LRUCache<string, 'safe' | 'unclear'>;

  constructor({ maxEntries, maxBytes, windowMs }: KnownMessagesOptions) {
    this.#states = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      ttl: windowMs,
      sizeCalculation: (_, key) => 2 * key.length + ENTRY_OVERHEAD_BYTES,
    });
  }

  get size(): number {
    return this.#states.size;
  }

  /** `safe`: acked by Kafka; `unclear`: sent, but without an answer in time. */
  stateOf(messageKey: string): 'safe' | 'unclear' | undefined {
    return this.#states.get(messageKey);
  }

  note(messageKey: string, state: 'safe' | 'unclear'): void {
    this.#states.set(messageKey, state);
  }
}

/** The record key, and the message key: the first is JSON and so ends itself, hence no two pairs look alike. */
export function keysOf(identity: Identity, message: ValidMessage): { recordKey: string; messageKey: string } {
  const recordKey = conversationKey(identity.tenant, identity.bot, message.conversationId);
  return { recordKey, messageKey: recordKey + message.id };
}
