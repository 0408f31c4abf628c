import type { Credentials } from '../handshake/auth.ts';
import type { Outbox } from '../session/outbox.ts';

/** A socket that asked for its insights. */
export interface Subscriber {
  /** The session's id, which its messages carry as their reply address. */
  readonly id: string;
  readonly credentials: Credentials;
  readonly outbox: Pick<Outbox, 'unsentBytes' | 'send'>;
  /** Milliseconds since the epoch. */
  readonly openedAt: number;
}

/** The message that an outcome is of. */
interface AnsweredMessage {
  readonly tenant_id: string;
  readonly bot_id: string;
  readonly conversation_id: string;
  readonly received_at: number;
}

const mayHear = ({ credentials: { bound } }: Subscriber, conversationId: string): boolean =>
  bound?.conversationId === undefined || bound.conversationId === conversationId;

/** A bot with more connections than this gets an insight of a lost one on the newest of them. */
const MAX_SUCCESSORS = 8;

/** Names hold no U+0000: the token check refuses it. */
const botKey = (tenant: string, bot: string) => `${tenant}\0${bot}`;

/**
 * The sockets of this process that asked for insights, by session and by bot. An insight belongs to the connection that
 * sent the message and to every connection that the same bot opened since: so a reconnect, to whichever process, loses
 * none, whether or not the first one is still there.
 */
export class Subscribers {
  readonly #byId = new Map<string, Subscriber>();
  /** In the order of opening. */
  readonly #byBot = new Map<string, Set<Subscriber>>();

  get size(): number {
    return this.#byId.size;
  }

  all(): Iterable<Subscriber> {
    return this.#byId.values();
  }

  add(subscriber: Subscriber): void {
    const { tenant, bot } = subscriber.credentials;
    this.#byId.set(subscriber.id, subscriber);
    const key = botKey(tenant, bot);
    const same = this.#byBot.get(key);
    if (same) same.add(subscriber);
    else this.#byBot.set(key, new Set([subscriber]));
  }

  remove(subscriber: Subscriber): void {
    const key = botKey(subscriber.credentials.tenant, subscriber.credentials.bot);
    this.#byId.delete(subscriber.id);
    const same = this.#byBot.get(key);
    same?.delete(subscriber);
    if (same?.size === 0) this.#byBot.delete(key);
  }

  /**
   * Whether the outcome of a message may be for a subscriber of this process, by its reply address and its key alone.
   *
   * @param recordKey JSON array of tenant, bot and conversation.
   */
  concerns(replyTo: string, recordKey: Buffer | null): boolean {
    if (this.#byId.has(replyTo)) return true;
    const bot = recordKey && botOf(recordKey);
    return bot !== null && this.#byBot.has(bot);
  }

  /** The sockets that get an outcome: only those of its own tenant and bot, and none whose token is bound to another conversation. */
  recipients(replyTo: string, message: AnsweredMessage): Subscriber[] {
    const same = this.#byBot.get(botKey(message.tenant_id, message.bot_id));
    if (!same) return [];
    const sender = this.#byId.get(replyTo);
    const since = [...same]
      .filter((it) => it !== sender && it.openedAt >= message.received_at && mayHear(it, message.conversation_id))
      .slice(-MAX_SUCCESSORS);
    return sender && same.has(sender) ? [sender, ...since] : since;
  }
}

function botOf(recordKey: Buffer): string | null {
  try {
    const [tenant, bot] = JSON.parse(recordKey.toString('utf8')) as unknown[];
    return typeof tenant === 'string' && typeof bot === 'string' ? botKey(tenant, bot) : null;
  } catch {
    return null;
  }
}
