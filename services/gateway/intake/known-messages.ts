import type { BotIdentity } from '../../core/bot-identity.ts';
import { conversationKey } from '../../core/partitioner.ts';
import type { ValidMessage } from './valid-message.ts';

export type MessageState = 'safe' | 'unclear';

/** A message as it is remembered. */
export interface KnownMessage {
  readonly state: MessageState;
  /** Hash of its content by {@link contentOf}; undefined where another process took it. */
  readonly content: number | undefined;
}

/** 30 bits of hash and one for the state fit a small integer, which costs the map no memory of its own. */
const HASH_BITS = 0x3fffffff;
const UNKNOWN_CONTENT = -1;

/** FNV-1a over speaker and text: two contents of one id are taken for the same once in a billion. */
export function contentOf({ speaker, text }: Pick<ValidMessage, 'speaker' | 'text'>): number {
  let hash = 0x811c9dc5 ^ speaker.length ^ speaker.charCodeAt(0);
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash & HASH_BITS;
}

export interface KnownMessagesOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly windowMs: number;
}

/** Per entry beside its key: the string's header and its place in the map, measured at 131,072 entries. */
const ENTRY_OVERHEAD_BYTES = 100;

/**
 * Message keys of the last minutes: what Kafka has (a duplicate is acked at once) and what it may have (a send that
 * timed out: the next try is marked as resent). An optimisation with bounds; what it forgets is found by the sink,
 * which keeps half an hour in a Bloom filter.
 *
 * Two generations, of which the older is dropped as a whole: a key is remembered for the window at least and twice the
 * window at most, or until half the bound has come after it. An LRU cache cost 2 µs a message, this a tenth of it.
 *
 * A usual key has 100 characters: 200 to 300 bytes an entry, so 131,072 entries stay below 40 MB, and half of them are
 * 21 s at 3,000 messages a second, as long as a client's longest backoff. Keys of the greatest length are bounded by the
 * bytes instead: 4 × 128 two-byte characters make 1.2 KB, and 48 MiB hold 42,000.
 */
export class KnownMessages {
  readonly #options: KnownMessagesOptions;
  readonly #nowMs: () => number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #youngBytes = 0;
  #bornAtMs: number;

  constructor(options: KnownMessagesOptions, nowMs: () => number = () => performance.now()) {
    this.#options = options;
    this.#nowMs = nowMs;
    this.#bornAtMs = nowMs();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** `safe`: acked by Kafka; `unclear`: sent, but without an answer in time. */
  find(messageKey: string): KnownMessage | undefined {
    this.#age();
    const packed = this.#young.get(messageKey) ?? this.#old.get(messageKey);
    if (packed === undefined) return undefined;
    const content = packed >> 1;
    return { state: packed & 1 ? 'unclear' : 'safe', content: content === UNKNOWN_CONTENT ? undefined : content };
  }

  /** @param content hash by {@link contentOf}, where it is known. */
  note(messageKey: string, state: MessageState, content = UNKNOWN_CONTENT): void {
    this.#age();
    const bytes = 2 * messageKey.length + ENTRY_OVERHEAD_BYTES;
    const { maxEntries, maxBytes } = this.#options;
    if (this.#young.size >= maxEntries / 2 || this.#youngBytes + bytes > maxBytes / 2) this.#turn();
    this.#young.set(messageKey, (content << 1) | (state === 'unclear' ? 1 : 0));
    this.#youngBytes += bytes;
  }

  #age(): void {
    const ageMs = this.#nowMs() - this.#bornAtMs;
    if (ageMs < this.#options.windowMs) return;
    this.#turn();
    // Nothing was noted or asked for two windows.
    if (ageMs >= 2 * this.#options.windowMs) this.#old = new Map();
  }

  #turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
    this.#bornAtMs = this.#nowMs();
  }
}

/** The record key, and the message key: the first is JSON and so ends itself, hence no two pairs look alike. */
export function keysOf(identity: BotIdentity, message: ValidMessage): { recordKey: string; messageKey: string } {
  const recordKey = conversationKey(identity.tenant, identity.bot, message.conversationId);
  return { recordKey, messageKey: recordKey + message.id };
}
