import type { BotIdentity } from '../../core/bot-identity.ts';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { ChatOutcome } from '../../core/records.ts';
import type { Decoded } from '../../platform/avro/codec.ts';
import { type ScannedRecord, scanRecords } from '../../platform/kafka/read/record-scan.ts';
import type { TakeSet } from '../../platform/kafka/read/tail-reader.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { REPLY_TO_HEADER } from '../../platform/record-headers.ts';
import type { InsightDelivery } from '../session/socket-server.ts';
import { insightFrame } from './insight-frame.ts';
import { InsightMetrics } from './insight-metrics.ts';
import { RecentSets } from './recent-sets.ts';
import { type Presence, type Subscriber, Subscribers, type Wanted } from './subscribers.ts';

type ListeningSession = Pick<Subscriber, 'id' | 'credentials' | 'outbox' | 'heardSince'>;

export interface InsightFeedOptions {
  /** Follows `chat.enriched` from a time on (ms since the epoch) until it is closed. */
  readonly follow: (since: number, take: TakeSet) => { close(): Promise<void> };
  readonly decode: (value: Buffer | null) => Decoded<ChatOutcome> | Promise<Decoded<ChatOutcome>>;
  /** What the other processes of this gateway have of a session; undefined where there are none. */
  readonly elsewhere?: ((wanted: Wanted) => Promise<Presence>) | undefined;
  /** Unread bytes of a socket above which its insights are dropped: well below what costs it its place. */
  readonly maxUnreadBytes: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** How far back a socket finds the insights that came while its bot had none. */
const RECENT_MS = 10_000;
/** Two seconds of 8,000 outcomes of 500 bytes a second; at lower rates the age bounds it. */
const RECENT_BYTES = 8 << 20;
/** New sockets are looked after together: a storm of them must not search the recent records once each. */
const CATCH_UP_MS = 200;
/** How long the log is still followed when the last socket that asked has gone. */
const LINGER_MS = 30_000;
/** Outcomes of a schema that the registry has yet to name; beyond it insights are dropped. */
const MAX_UNDECODED = 1_000;

/**
 * Brings the insights of `chat.enriched` to the sockets of this process that asked for them. Without such a socket
 * nothing is read. Headers of all records are looked at; only those for a socket of this process are decoded. A socket
 * that does not read loses insights, and nothing else: acks go on.
 */
export class InsightFeed implements InsightDelivery {
  readonly #options: InsightFeedOptions;
  readonly #metrics: InsightMetrics;
  /** All that are here. */
  readonly #present = new Subscribers();
  /** Those of them that get what comes from now on; the newcomers have not had the recent records yet. */
  readonly #subscribers = new Subscribers();
  readonly #recent: RecentSets;
  readonly #newcomers = new Set<Subscriber>();
  #tail: { close(): Promise<void> } | undefined;
  #catchUp: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #undecoded = 0;

  constructor(options: InsightFeedOptions) {
    this.#options = options;
    this.#recent = new RecentSets({ maxBytes: RECENT_BYTES, maxAgeMs: RECENT_MS });
    this.#metrics = new InsightMetrics(options.metrics, {
      sockets: () => this.#present.size,
      recentBytes: () => this.#recent.bytes,
    });
  }

  open(session: ListeningSession, resumes: readonly string[] | undefined): () => void {
    const { id, credentials, outbox } = session;
    const subscriber: Subscriber = {
      id,
      credentials,
      outbox,
      resumes,
      openedAt: this.#options.clock.now(),
      heardSince: (ms) => session.heardSince(ms),
    };
    if (resumes === undefined) this.#present.probeBefore(subscriber);
    this.#present.add(subscriber);
    if (this.#tail) {
      this.#newcomers.add(subscriber);
      this.#catchUp ??= setTimeout(() => this.#catchUpNow(), CATCH_UP_MS);
    } else this.#subscribers.add(subscriber);
    this.#follow();
    return () => {
      this.#present.remove(subscriber);
      this.#subscribers.remove(subscriber);
      this.#newcomers.delete(subscriber);
      if (this.#present.size === 0) this.#linger ??= setTimeout(() => this.#unfollow(), LINGER_MS);
    };
  }

  /** What this process has of a session. */
  presenceOf(wanted: Wanted): Presence {
    return this.#present.presenceOf(wanted);
  }

  async close(): Promise<void> {
    clearTimeout(this.#catchUp);
    clearTimeout(this.#linger);
    await this.#tail?.close();
  }

  #follow(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#tail ??= this.#options.follow(this.#options.clock.now() - RECENT_MS, (records, from) => {
      this.#recent.add(records, this.#options.clock.monotonicMs());
      return this.#scan(records, from, this.#subscribers);
    });
  }

  #unfollow(): void {
    const tail = this.#tail;
    this.#tail = undefined;
    this.#linger = undefined;
    this.#recent.clear();
    void tail?.close();
  }

  /**
   * Searches the recent records for the newcomers alone, since the others have had them. Newcomers take part in later
   * records only from here on, so that nothing comes twice.
   */
  #catchUpNow(): void {
    this.#catchUp = undefined;
    const newcomers = new Subscribers();
    for (const subscriber of this.#newcomers) newcomers.add(subscriber);
    this.#newcomers.clear();
    for (const records of this.#recent.all(this.#options.clock.monotonicMs())) this.#scan(records, 0, newcomers);
    for (const subscriber of newcomers.all()) this.#subscribers.add(subscriber);
  }

  #scan(records: Buffer, from: number, audience: Subscribers): number {
    const result = scanRecords(records, from, REPLY_TO_HEADER, (record) => this.#offer(record, audience));
    this.#metrics.scanned(result.records, result.unreadable);
    return result.next;
  }

  #offer({ key, value, header }: ScannedRecord, audience: Subscribers): void {
    const replyTo = header.toString('latin1');
    if (!audience.concerns(replyTo, key)) return;
    const decoded = this.#options.decode(value);
    if (!(decoded instanceof Promise)) {
      this.#deliver(replyTo, decoded, audience);
      return;
    }
    if (this.#undecoded >= MAX_UNDECODED) {
      this.#metrics.insight('dropped');
      return;
    }
    this.#undecoded += 1;
    decoded
      .then((outcome) => this.#deliver(replyTo, outcome, audience))
      .catch((error: unknown) => {
        // Counted; one line a record would be a flood while the registry is away.
        this.#options.log.debug({ err: messageOf(error) }, 'an insight is lost: its schema is not known');
        this.#metrics.insight('undecodable');
      })
      .finally(() => {
        this.#undecoded -= 1;
      });
  }

  #deliver(replyTo: string, decoded: Decoded<ChatOutcome>, audience: Subscribers): void {
    if (!decoded.ok) {
      this.#metrics.insight('undecodable');
      return;
    }
    const outcome = decoded.value;
    const { sender, named, heirs } = this.#present.addressees(replyTo, outcome);
    // Both of a handover: which of the two connections still takes a frame only their client knows.
    this.#send(
      [...(sender ? [sender] : []), ...named].filter((it) => audience.has(it)),
      outcome,
    );
    const meant = heirs.filter((it) => audience.has(it) && !sender?.heardSince(it.openedAt));
    if (meant.length === 0) return;
    const { elsewhere } = this.#options;
    if (sender || !elsewhere) {
      this.#send(meant, outcome);
      return;
    }
    const bot = { tenant: outcome.tenant_id, bot: outcome.bot_id };
    const newestMs = Math.max(...meant.map(({ openedAt }) => openedAt));
    void elsewhere(wantedOf(replyTo, bot, newestMs)).then((found) => {
      if (found === null) this.#send(meant, outcome);
    });
  }

  #send(recipients: readonly Subscriber[], outcome: ChatOutcome): void {
    if (recipients.length === 0) return;
    const frame = JSON.stringify(insightFrame(outcome));
    const latencyMs = this.#options.clock.now() - outcome.received_at;
    for (const { outbox } of recipients) {
      if (outbox.unsentBytes > this.#options.maxUnreadBytes) {
        this.#metrics.insight('dropped');
        continue;
      }
      if (outbox.send(frame)) this.#metrics.sent(outcome.provisional, latencyMs);
    }
  }
}

const wantedOf = (session: string, { tenant, bot }: BotIdentity, since: number): Wanted => ({
  session,
  tenant,
  bot,
  since,
});
