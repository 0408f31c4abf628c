import type { BotIdentity } from '../../core/bot-identity.ts';
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
  /** Sessions that it continues; undefined where its client does not say, being older than that question. */
  readonly resumes: readonly string[] | undefined;
  /** Whether its peer has given a sign of life since then (ms since the epoch); if not, it is asked for one. */
  heardSince(ms: number): boolean;
}

/** The message that an outcome is of. */
interface AnsweredMessage {
  readonly tenant_id: string;
  readonly bot_id: string;
  readonly conversation_id: string;
  readonly received_at: number;
}

/** Who is here for an outcome. */
export interface Addressees {
  readonly sender: Subscriber | undefined;
  /** Those who get it where the sender has gone. */
  readonly heirs: readonly Subscriber[];
  /** Whether the heirs said that they continue the sender's session; else they are only of the same bot, and later. */
  readonly isNamed: boolean;
}

/** A session, and since when it is to have given a sign of life. */
export interface Wanted extends BotIdentity {
  readonly session: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** What a process has of a session: itself, alive; one that continues it; or nothing. */
export type Presence = 'sender' | 'heir' | null;

const mayHear = ({ credentials: { bound } }: Subscriber, conversationId: string): boolean =>
  bound?.conversationId === undefined || bound.conversationId === conversationId;

/** The newest are taken where there are more heirs. */
const MAX_HEIRS = 8;

const NOBODY: Addressees = { sender: undefined, heirs: [], isNamed: false };

/** Names hold no U+0000: the token check refuses it. */
const botKey = (tenant: string, bot: string) => `${tenant}\0${bot}`;

/**
 * The sockets of this process that asked for insights, by session and by bot. An insight belongs to the connection that
 * sent the message; where that has gone, to those that continue it, so that a reconnect, to whichever process, loses none.
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

  has({ id }: Subscriber): boolean {
    return this.#byId.has(id);
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

  /** Those whom an outcome may go to: only of its own tenant and bot, and no heir whose token is bound to another conversation. */
  addressees(replyTo: string, message: AnsweredMessage): Addressees {
    const same = this.#byBot.get(botKey(message.tenant_id, message.bot_id));
    if (!same) return NOBODY;
    const known = this.#byId.get(replyTo);
    const sender = known && same.has(known) ? known : undefined;
    const others = [...same].filter((it) => it !== sender && mayHear(it, message.conversation_id));
    const named = others.filter(({ resumes }) => resumes?.includes(replyTo));
    const isNamed = named.length > 0;
    const heirs = isNamed
      ? named
      : others.filter(({ resumes, openedAt }) => resumes === undefined && openedAt >= message.received_at);
    return { sender, heirs: heirs.slice(-MAX_HEIRS), isNamed };
  }

  presenceOf({ tenant, bot, session, since }: Wanted): Presence {
    const same = this.#byBot.get(botKey(tenant, bot));
    const found = this.#byId.get(session);
    if (found && same?.has(found) && found.heardSince(since)) return 'sender';
    return [...(same ?? [])].some(({ resumes }) => resumes?.includes(session)) ? 'heir' : null;
  }

  /** Asks those whom it may continue for a sign of life, so that it is known soon whether they have gone. */
  probeBefore({ credentials, resumes, openedAt }: Subscriber): void {
    const same = [...(this.#byBot.get(botKey(credentials.tenant, credentials.bot)) ?? [])];
    const earlier = resumes ? same.filter(({ id }) => resumes.includes(id)) : same.slice(-MAX_HEIRS);
    for (const each of earlier) each.heardSince(openedAt);
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
