import type { TopicId } from '../../../core/brands.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Check } from '../../admin-server.ts';
import type { Logger } from '../../logger.ts';
import type { Counter, Metrics } from '../../metrics.ts';
import type { FetchedSet, FetchPosition } from '../kafkajs/fetched-set.ts';
import type { FetchPlan } from '../kafkajs/group-fetch.ts';
import type { GroupSession } from '../kafkajs/group-session.ts';
import { type Kafka, traitsOf } from '../kafkajs/kafka.ts';
import { readRecordSet, type Stretch, type UnreadableBatch } from '../read/record-set.ts';
import { TopicWatch } from '../read/topic-watch.ts';
import { refusalOf } from '../rights.ts';
import type { StickyMember } from '../sticky-assignor.ts';
import type { Claim, ClaimLostError, PartitionHandler } from './claim.ts';
import { exportLag } from './group-lag.ts';
import { GroupMember } from './group-member.ts';
import { OffsetCommitter } from './offset-committer.ts';
import { type ClaimOwner, PartitionClaim } from './partition-claim.ts';
import { NO_REPLICA, PartitionOpener } from './partition-opener.ts';
import { PartitionTroubles } from './partition-troubles.ts';

export interface GroupConsumerOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A member that is silent for longer is thrown out; what it held is processed again by others. */
  readonly sessionTimeoutMs?: number;
  /** How long a rejoin waits for work in flight to finish; no heartbeat goes out meanwhile. */
  readonly settleMs?: number;
  /** The service has to start anew: Kafka is another cluster (CLUSTER_CHANGED), where topics and schemas may be missing. */
  readonly fail?: (error: Error) => void;
  /** Bound of one fetch: what is fetched at once is decoded at once, and nothing else runs meanwhile. */
  readonly maxBytesPerPartition?: number;
  /** Bytes of one fetch over all partitions that a broker leads; a single larger record still comes. */
  readonly maxBytes?: number;
  /** A fetch waits for so many bytes, so long at most: for those who gather records anyway, it saves most fetches. */
  readonly minBytes?: number;
  /** Resuming a partition waits for the fetch under way. */
  readonly maxWaitMs?: number;
  /** Makes the handler of a partition. Runs aside, so it may take its time; retried while the claim lasts. */
  readonly assign: (claim: Claim) => Promise<PartitionHandler>;
}

const keyOf = (topic: string, partition: number) => `${topic}/${partition}`;

/** What the parts of a consumer are made from. */
interface Parts {
  readonly options: Required<GroupConsumerOptions>;
  readonly committer: OffsetCommitter;
  readonly opener: PartitionOpener;
  readonly troubles: PartitionTroubles;
}

/**
 * A consumer group member whose processing is apart from its fetching: records are handed over and the loop goes on, so
 * that a slow partition holds back no other; offsets are committed by the handlers. It never ends by itself: after a crash
 * of the client a new member is made, with new claims.
 */
export class GroupConsumer implements ClaimOwner {
  readonly committer: OffsetCommitter;
  readonly #options: Required<GroupConsumerOptions>;
  readonly #opener: PartitionOpener;
  readonly #troubles: PartitionTroubles;
  readonly #claims = new Map<string, PartitionClaim>();
  readonly #rejoins: Counter<'kept'>;
  readonly #unreadable: Counter<'topic' | 'codec'>;
  #watch: TopicWatch | undefined;
  #member: GroupMember | undefined;
  #session: GroupSession | undefined;
  #closing = false;

  private constructor({ options, committer, opener, troubles }: Parts) {
    this.#options = options;
    this.committer = committer;
    this.#opener = opener;
    this.#troubles = troubles;
    const { metrics } = options;
    this.#rejoins = metrics.counter('parley_group_joins_total', 'Joins of the consumer group, by kept or new', [
      'kept',
    ]);
    this.#unreadable = metrics.counter(
      'parley_unreadable_batches_total',
      'Batches of records that could not be read and were passed over',
      ['topic', 'codec'],
    );
    metrics.gauge('parley_partitions_claimed', 'Partitions that this instance holds', [], (gauge) =>
      gauge.set(this.#claims.size),
    );
    exportLag(metrics, {
      groupId: options.groupId,
      claims: () => [...this.#claims.values()],
      logEnds: (topic) => opener.logEnds(topic),
    });
  }

  static async start(given: GroupConsumerOptions): Promise<GroupConsumer> {
    const defaults = {
      sessionTimeoutMs: 6_000,
      settleMs: 1_000,
      maxBytesPerPartition: 1 << 20,
      maxBytes: 8 << 20,
      minBytes: 1,
      maxWaitMs: 100,
      fail: () => {},
    };
    const options = { ...defaults, ...given };
    const { kafka, groupId, log, metrics } = options;
    const troubles = new PartitionTroubles(log, metrics);
    const committer = await OffsetCommitter.connect({
      kafka,
      groupId,
      onRefused: (topic, partition, error) => {
        const detail = error && refusalOf(error, 'Read', 'group', groupId);
        troubles.report(topic, partition, 'COMMIT_REFUSED', detail);
      },
    });
    const opener = await PartitionOpener.connect({ ...options, troubles }, committer);
    const consumer = new GroupConsumer({ options, committer, opener, troubles });
    consumer.#member = await GroupMember.start(options, {
      owned: () => consumer.#owned(),
      lost: () => consumer.#loseAll(),
      beforeJoin: () => consumer.#settle(),
      joined: (session) => consumer.#joined(session),
      plan: consumer.#fetchPlan(),
    });
    consumer.#watch = TopicWatch.start({
      ...options,
      onIds: (ids) => consumer.#leaveEarlierTopics(ids),
      onOtherCluster: options.fail,
    });
    return consumer;
  }

  /** Up while a member of the group whose partitions can all go on, or that stands by; the error says what cannot. */
  readonly check: Check = async () => {
    this.#member?.assertMember();
    this.#troubles.assertNone();
    return this.#claims.size > 0 ? {} : { note: 'stands by: other members hold every partition' };
  };

  /** Every claim that is held now. */
  get claims(): Claim[] {
    return [...this.#claims.values()].filter(({ handler }) => handler !== undefined);
  }

  fenced({ topic, partition }: PartitionClaim, { by, message }: ClaimLostError): void {
    this.#options.log.warn({ topic, partition, err: message }, 'fenced: joining anew');
    // An expulsion is heard by the heartbeat as well, which rejoins; for a generation that stays wrong only a new member helps.
    if (by === 'generation') this.#member?.replace(message);
    else this.#member?.expelled();
  }

  /** Settles, gives up every claim and joins anew as another member: each partition is opened once more. */
  async renew(why: string): Promise<void> {
    await this.#settle();
    if (!this.#closing) this.#member?.replace(why);
  }

  /** Settles, leaves the group and disconnects. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#watch?.close();
    await this.#settle();
    this.#loseAll();
    await this.#member?.close();
    await this.committer.close();
    await this.#opener.close();
  }

  #fetchPlan(): FetchPlan {
    const { minBytes, maxWaitMs, maxBytes, maxBytesPerPartition, kafka } = this.#options;
    return {
      maxWaitMs,
      minBytes,
      maxBytes,
      maxBytesPerPartition,
      rack: traitsOf(kafka).rack,
      positions: () => this.#positions(),
      fetched: (position, set) => this.#fetched(position, set),
      outOfRange: (position) => this.#outOfRange(position),
      leaderless: (position) => this.#leaderless(position),
      refused: (position, error) => this.#refused(position, error),
    };
  }

  #positions(): FetchPosition[] {
    if (this.#closing) return [];
    const readable = [...this.#claims.values()].filter(({ isReadable }) => isReadable);
    return readable.map(({ topic, partition, position }) => ({ topic, partition, offset: position }));
  }

  async #settle(): Promise<void> {
    const { settleMs, log } = this.#options;
    const open = [...this.#claims.values()].flatMap(({ handler }) => (handler ? [handler] : []));
    const results = await Promise.allSettled(open.map((handler) => handler.settle(settleMs)));
    for (const result of results) {
      if (result.status === 'rejected') log.warn({ err: messageOf(result.reason) }, 'a partition did not settle');
    }
  }

  /** For the assignor, which lets everybody keep what it has. */
  #owned(): Pick<StickyMember, 'generation' | 'owned'> {
    const owned: Record<string, number[]> = {};
    for (const { topic, partition } of this.#claims.values()) owned[topic] = [...(owned[topic] ?? []), partition];
    return { generation: this.#session?.generationId ?? -1, owned };
  }

  /**
   * Kept partitions go on where they are. A partition counts as kept only when we were in the group without a break:
   * the same member, the very next generation; in between, another member could have owned it.
   */
  #joined(session: GroupSession): void {
    const previous = this.#session;
    const unbroken =
      previous?.memberId === session.memberId && session.generationId === (previous?.generationId ?? 0) + 1;
    this.#session = session;
    this.#rejoins.inc({ kept: String(unbroken) });
    const assigned = new Set(
      session.assigned.flatMap(({ topic, partitions }) => partitions.map((partition) => keyOf(topic, partition))),
    );
    for (const [key, claim] of [...this.#claims]) if (!unbroken || !assigned.has(key)) this.#lose(claim);
    for (const { topic, partitions } of session.assigned) {
      for (const partition of partitions) this.#claim(topic, partition, session);
    }
    this.committer.sessionsChanged();
  }

  #claim(topic: string, partition: number, session: GroupSession): void {
    const kept = this.#claims.get(keyOf(topic, partition));
    if (kept) {
      kept.keepUnder(session);
      kept.handler?.kept?.();
      return;
    }
    const claim = new PartitionClaim(topic, partition, session, this);
    this.#claims.set(keyOf(topic, partition), claim);
    void this.#opener.open(claim).then((handler) => {
      if (claim.active && handler) claim.open(handler);
      else handler?.release();
    });
  }

  #loseAll(): void {
    this.#session = undefined;
    for (const claim of [...this.#claims.values()]) this.#lose(claim);
  }

  #lose(claim: PartitionClaim): void {
    this.#claims.delete(keyOf(claim.topic, claim.partition));
    this.#troubles.forget(claim.topic, claim.partition);
    claim.lose();
    this.committer.sessionsChanged();
  }

  /** Never throws: the client ends the consumer for good, and silently, on a TypeError from within a fetch. */
  #fetched({ topic, partition, offset }: FetchPosition, set: FetchedSet): void {
    const claim = this.#claims.get(keyOf(topic, partition));
    // Asked for before a seek, or before the handler had enough: dropped, and asked for again.
    if (!claim?.isReadable || claim.position !== offset) return;
    try {
      if (claim.answered()) {
        for (const code of ['CONSUMER_REFUSED', 'PARTITION_LEADERLESS'] as const) {
          this.#troubles.report(topic, partition, code, undefined);
        }
      }
      claim.sawEnd(set.highWatermark);
      for (const stretch of readRecordSet(set, offset, Date.now())) {
        if (!this.#handOver(claim, stretch)) return;
      }
    } catch (error) {
      this.#options.log.error({ err: error, topic, partition }, 'a handler failed to take records over');
      this.#reopen(claim);
    }
  }

  /** @returns false where the handler has the log read from elsewhere. */
  #handOver(claim: PartitionClaim, stretch: Stretch): boolean {
    claim.position = stretch.next;
    if (stretch.kind === 'unreadable') this.#passOver(claim, stretch);
    else {
      if (stretch.records.length > 0) claim.handler?.take(stretch.records);
      const isBehind = (stretch.records.at(-1)?.offset ?? -1) + 1 < stretch.next;
      if (isBehind && claim.position === stretch.next) claim.handler?.readTo?.(stretch.next);
    }
    return claim.position === stretch.next;
  }

  #passOver({ topic, partition, handler }: PartitionClaim, { first, next, codec, reason }: UnreadableBatch): void {
    this.#unreadable.inc({ topic, codec });
    const fields = { code: 'BATCH_UNREADABLE', topic, partition, first, last: next - 1, codec, reason };
    this.#options.log.error(fields, 'a batch of records cannot be read and is passed over');
    handler?.cutTo?.(next);
  }

  #leaderless({ topic, partition }: FetchPosition): void {
    const claim = this.#claims.get(keyOf(topic, partition));
    if (claim?.lostLeader()) this.#troubles.report(topic, partition, 'PARTITION_LEADERLESS', NO_REPLICA);
  }

  #refused({ topic, partition }: FetchPosition, error: string): void {
    const claim = this.#claims.get(keyOf(topic, partition));
    claim?.refused();
    if (claim) this.#troubles.report(topic, partition, 'CONSUMER_REFUSED', refusalOf(error, 'Read', 'topic', topic));
  }

  /** The log no longer holds our position: go on at its start if it was cut below, stop if it ends above. */
  async #outOfRange({ topic, partition }: FetchPosition): Promise<void> {
    const range = await this.#opener.logRange(topic, partition).catch(() => undefined);
    const claim = this.#claims.get(keyOf(topic, partition));
    if (!claim?.handler) return;
    // Its leader has gone meanwhile: this partition waits, no other.
    if (!range) {
      claim.refused();
      return;
    }
    const { logStart } = range;
    this.#options.log.error({ topic, partition, position: claim.position, log_start: logStart }, 'offset out of range');
    if (claim.position < logStart) {
      claim.position = logStart;
      claim.handler.cutTo?.(logStart);
    } else this.#reopen(claim);
  }

  /** Partitions of a topic that was deleted and made again start over: their positions mean nothing in the new one. */
  #leaveEarlierTopics(ids: ReadonlyMap<string, TopicId>): void {
    for (const claim of [...this.#claims.values()]) {
      const id = ids.get(claim.topic);
      if (claim.handler && id !== undefined && id !== claim.topicId) this.#reopen(claim);
    }
  }

  /** Starts the partition over from its committed offset, under the same session. */
  #reopen(claim: PartitionClaim): void {
    const session = this.#session;
    this.#lose(claim);
    if (session) this.#claim(claim.topic, claim.partition, session);
  }
}
