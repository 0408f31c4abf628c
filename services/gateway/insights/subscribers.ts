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
  /** Sessions that it continues; undefined where its client does not say, as at the first connect of a process. */
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
  /** Those of the same bot that came since, who get it where the sender has gone and nobody continues it. */
  readonly heirs: readonly Subscriber[];
  /** Those that said that they continue the sender's session. */
  readonly named: readonly Subscriber[];
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

/** Names hold no U+0000: the token check refuses it. */
const botKey = (tenant: string, bot: string) => `${tenant}\0${bot}`;

/**
 * The sockets of this process that asked for insights, by session and by bot. An insight belongs to the connection that
 * sent the message and to those that continue it; where there is none of these, to those that the same bot opened since:
 * so a reconnect, to whichever process, loses none. What an insight costs does not grow with the sockets of its bot.
 */
export class Subscribers {
  readonly #byId = new Map<string, Subscriber>();
  /** By the session that they continue. */
  readonly #heirs = new Lists();
  readonly #byBot = new Lists();
  /** Those that do not say what they continue, by bot. */
  readonly #unnamed = new Lists();

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
    this.#byId.set(subscriber.id, subscriber);
    for (const [lists, key] of this.#placesOf(subscriber)) lists.add(key, subscriber);
  }

  remove(subscriber: Subscriber): void {
    if (!this.#byId.delete(subscriber.id)) return;
    for (const [lists, key] of this.#placesOf(subscriber)) lists.remove(key, subscriber);
  }

  #placesOf({ credentials: { tenant, bot }, resumes }: Subscriber): [Lists, string][] {
    const ofBot = botKey(tenant, bot);
    const named = resumes && [...new Set(resumes)].map((session): [Lists, string] => [this.#heirs, session]);
    return [[this.#byBot, ofBot], ...(named ?? [[this.#unnamed, ofBot] satisfies [Lists, string]])];
  }

  /**
   * Whether the outcome of a message may be for a subscriber of this process, by its reply address and its key alone.
   *
   * @param recordKey JSON array of tenant, bot and conversation.
   */
  concerns(replyTo: string, recordKey: Buffer | null): boolean {
    if (this.#byId.has(replyTo) || this.#heirs.of(replyTo).length > 0) return true;
    const bot = recordKey && botOf(recordKey);
    return bot !== null && this.#unnamed.of(bot).length > 0;
  }

  /** Those whom an outcome may go to: only of its own tenant and bot, and no heir whose token is bound to another conversation. */
  addressees(replyTo: string, message: AnsweredMessage): Addressees {
    const { tenant_id, bot_id, conversation_id, received_at } = message;
    const known = this.#byId.get(replyTo);
    const sender = known && isOf(known, tenant_id, bot_id) ? known : undefined;
    const named = newest(this.#heirs.of(replyTo), {
      accept: (it) => isOf(it, tenant_id, bot_id) && mayHear(it, conversation_id),
    });
    if (named.length > 0) return { sender, named, heirs: [] };
    const heirs = newest(this.#unnamed.of(botKey(tenant_id, bot_id)), {
      since: received_at,
      accept: (it) => it !== sender && mayHear(it, conversation_id),
    });
    return { sender, named, heirs };
  }

  presenceOf({ tenant, bot, session, since }: Wanted): Presence {
    const found = this.#byId.get(session);
    if (found && isOf(found, tenant, bot) && found.heardSince(since)) return 'sender';
    return this.#heirs.of(session).some((it) => isOf(it, tenant, bot)) ? 'heir' : null;
  }

  /** Asks those whom it may continue for a sign of life, so that it is known soon whether they have gone. */
  probeBefore({ credentials: { tenant, bot }, openedAt }: Subscriber): void {
    for (const each of this.#byBot.of(botKey(tenant, bot)).slice(-MAX_HEIRS)) each.heardSince(openedAt);
  }
}

/** At most eight, in the order of opening; looked for from the end, where those come first that opened last. */
function newest(
  list: readonly Subscriber[],
  { accept, since = 0 }: { readonly accept: (it: Subscriber) => boolean; readonly since?: number },
): Subscriber[] {
  const found: Subscriber[] = [];
  for (let at = list.length - 1; at >= 0 && found.length < MAX_HEIRS; at--) {
    const it = list[at] as Subscriber;
    if (it.openedAt < since) break;
    if (accept(it)) found.push(it);
  }
  return found.reverse();
}

const isOf = ({ credentials }: Subscriber, tenant: string, bot: string): boolean =>
  credentials.tenant === tenant && credentials.bot === bot;

/** Subscribers by a key, those of each in the order of opening. */
class Lists {
  readonly #byKey = new Map<string, Subscriber[]>();

  of(key: string): readonly Subscriber[] {
    return this.#byKey.get(key) ?? NONE;
  }

  add(key: string, subscriber: Subscriber): void {
    const list = this.#byKey.get(key);
    if (list) list.push(subscriber);
    else this.#byKey.set(key, [subscriber]);
  }

  remove(key: string, subscriber: Subscriber): void {
    const list = this.#byKey.get(key);
    const at = list?.indexOf(subscriber) ?? -1;
    if (at >= 0) list?.splice(at, 1);
    if (list?.length === 0) this.#byKey.delete(key);
  }
}

const NONE: readonly Subscriber[] = [];

function botOf(recordKey: Buffer): string | null {
  try {
    const [tenant, bot] = JSON.parse(recordKey.toString('utf8')) as unknown[];
    return typeof tenant === 'string' && typeof bot === 'string' ? botKey(tenant, bot) : null;
  } catch {
    return null;
  }
}
