import { setTimeout as delay } from 'node:timers/promises';
import type { Batch, Consumer } from 'kafkajs';
import type { TopicId } from '../../../core/brands.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Check } from '../../admin-server.ts';
import type { Logger } from '../../logger.ts';
import type { Counter, Metrics } from '../../metrics.ts';
import { type GroupSession, runMember } from '../kafkajs/group-membership.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { TopicWatch } from '../read/topic-watch.ts';
import { toRecord } from '../record.ts';
import type { Claim, PartitionHandler } from './claim.ts';
import { exportLag } from './group-lag.ts';
import { OffsetCommitter } from './offset-committer.ts';
import { type ClaimOwner, PartitionClaim } from './partition-claim.ts';
import { PartitionOpener } from './partition-opener.ts';

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
  /** Makes the handler of a partition. Runs aside, so it may take its time; retried while the claim lasts. */
  readonly assign: (claim: Claim) => Promise<PartitionHandler>;
}

/** kafkajs's batches know the offset that was asked for; its types do not say so. */
type FetchedBatch = Batch & { readonly fetchedOffset: string };

const keyOf = (topic: string, partition: number) => `${topic}/${partition}`;

/**
 * A consumer group member whose processing is apart from its fetching: records are handed over and the loop goes on, so
 * a slow partition holds nobody back; offsets are committed by the handlers, never by kafkajs. It never ends by itself:
 * after a crash of the kafkajs consumer a new one is made, with new claims.
 */
export class GroupConsumer implements ClaimOwner {
  readonly committer: OffsetCommitter;
  readonly #options: Required<GroupConsumerOptions>;
  readonly #opener: PartitionOpener;
  readonly #claims = new Map<string, PartitionClaim>();
  readonly #rejoins: Counter<'kept'>;
  #watch: TopicWatch | undefined;
  #consumer: Consumer | undefined;
  #session: GroupSession | undefined;
  #closing = false;

  private constructor(options: Required<GroupConsumerOptions>, committer: OffsetCommitter, opener: PartitionOpener) {
    this.#options = options;
    this.committer = committer;
    this.#opener = opener;
    const { metrics } = options;
    this.#rejoins = metrics.counter('parley_group_joins_total', 'Joins of the consumer group, by kept or new', [
      'kept',
    ]);
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
      fail: () => {},
    };
    const options = { ...defaults, ...given };
    const committer = await OffsetCommitter.connect(options.kafka, options.groupId, options.log);
    const opener = await PartitionOpener.connect(options, committer);
    const consumer = new GroupConsumer(options, committer, opener);
    await consumer.#runMember();
    consumer.#watch = TopicWatch.start({
      ...options,
      onIds: (ids) => consumer.#leaveEarlierTopics(ids),
      onOtherCluster: options.fail,
    });
    return consumer;
  }

  /** Up while a member of the group. */
  readonly check: Check = async () => {
    if (!this.#session) throw new Error(`not a member of ${this.#options.groupId}`);
    return {};
  };

  /** Every claim that is held now. */
  get claims(): Claim[] {
    return [...this.#claims.values()].filter(({ handler }) => handler !== undefined);
  }

  setPaused(topic: string, partition: number, paused: boolean): void {
    const selection = [{ topic, partitions: [partition] }];
    this.#steer((consumer) => (paused ? consumer.pause(selection) : consumer.resume(selection)));
  }

  /** The broker refuses our generation and no rejoin put it right: all is dropped and we join as a new member. */
  fenced(claim: PartitionClaim): void {
    this.#options.log.warn({ topic: claim.topic, partition: claim.partition }, 'fenced: joining anew');
    const fencedMember = this.#consumer;
    if (!this.#session || !fencedMember) return;
    this.#session = undefined;
    for (const held of [...this.#claims.values()]) this.#lose(held);
    void fencedMember
      .disconnect()
      .catch((error: unknown) => this.#options.log.warn({ err: messageOf(error) }, 'a fenced member did not leave'))
      .then(() => this.#rebuild());
  }

  /** Settles, leaves the group and disconnects. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#watch?.close();
    for (const claim of this.#claims.values()) this.setPaused(claim.topic, claim.partition, true);
    await this.#settle();
    for (const claim of [...this.#claims.values()]) this.#lose(claim);
    await this.#consumer?.disconnect();
    await this.committer.close();
    await this.#opener.close();
  }

  async #runMember(): Promise<void> {
    const { kafka, groupId, topics, log, sessionTimeoutMs, settleMs, maxBytesPerPartition, maxBytes } = this.#options;
    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / 5),
      // A member hears of a rebalance with a heartbeat and settles first: the others wait for it.
      rebalanceTimeout: Math.max(10_000, 2 * settleMs + sessionTimeoutMs),
      // Resuming a partition waits for the fetch under way, so fetches are short.
      maxWaitTimeInMs: 100,
      minBytes: 1,
      maxBytes,
      maxBytesPerPartition,
      allowAutoTopicCreation: false,
      metadataMaxAge: 30_000,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8, restartOnFailure: async () => false },
    });
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      log.error({ err: messageOf(error), group: groupId }, 'the consumer crashed');
      void this.#rebuild();
    });
    this.#consumer = consumer;
    await consumer.connect();
    // Where nothing is committed the log is read from its start; false would jump to its end after an out-of-range.
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await runMember(
      consumer,
      {
        beforeJoin: () => this.#settle(),
        joined: (session) => this.#joined(session),
        outOfRange: (topic, partition) => this.#outOfRange(topic, partition),
      },
      { autoCommit: false, eachBatch: ({ batch }) => this.#take(batch) },
    );
  }

  async #rebuild(): Promise<void> {
    this.#session = undefined;
    for (const claim of [...this.#claims.values()]) this.#lose(claim);
    for (let attempt = 0; !this.#closing; attempt++) {
      await delay(Math.random() * Math.min(200 * 2 ** attempt, 3_000));
      try {
        await this.#runMember();
        return;
      } catch (error) {
        this.#options.log.warn({ err: messageOf(error) }, 'the consumer could not be rebuilt yet');
        await this.#consumer?.disconnect().catch(() => undefined);
      }
    }
  }

  async #settle(): Promise<void> {
    const { settleMs, log } = this.#options;
    const open = [...this.#claims.values()].flatMap(({ handler }) => (handler ? [handler] : []));
    const results = await Promise.allSettled(open.map((handler) => handler.settle(settleMs)));
    for (const result of results) {
      if (result.status === 'rejected') log.warn({ err: messageOf(result.reason) }, 'a partition did not settle');
    }
  }

  /**
   * Kept partitions go on where they are. A partition counts as kept only when we were in the group without a break:
   * the same member, the very next generation; in between, somebody else could have owned it.
   */
  async #joined(session: GroupSession): Promise<void> {
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
  }

  #claim(topic: string, partition: number, session: GroupSession): void {
    const kept = this.#claims.get(keyOf(topic, partition));
    if (kept) {
      kept.keepUnder(session);
      // kafkajs rewinds to the committed offset at every join.
      if (kept.handler) this.seek(kept);
      this.setPaused(topic, partition, kept.paused);
      kept.handler?.kept?.();
      return;
    }
    const claim = new PartitionClaim(topic, partition, session, this);
    this.#claims.set(keyOf(topic, partition), claim);
    this.setPaused(topic, partition, true);
    void this.#opener.open(claim).then((handler) => {
      if (!handler) return;
      if (!claim.active) {
        handler.release();
        return;
      }
      claim.open(handler);
      this.seek(claim);
      this.setPaused(topic, partition, claim.paused);
    });
  }

  seek({ topic, partition, position }: Pick<PartitionClaim, 'topic' | 'partition' | 'position'>): void {
    this.#steer((consumer) => consumer.seek({ topic, partition, offset: String(position) }));
  }

  /** A consumer that crashed or was stopped has no group to steer, and says so; what comes next begins with a join. */
  #steer(action: (consumer: Consumer) => void): void {
    try {
      if (this.#consumer) action(this.#consumer);
    } catch (error) {
      if ((error as Error).name !== 'KafkaJSNonRetriableError') throw error;
      this.#options.log.debug({ err: messageOf(error) }, 'nothing to steer: the consumer is not in its group');
    }
  }

  #lose(claim: PartitionClaim): void {
    this.#claims.delete(keyOf(claim.topic, claim.partition));
    claim.lose();
  }

  /** Never throws: kafkajs ends the consumer for good, and silently, on a TypeError from a handler. */
  async #take(batch: Batch): Promise<void> {
    const { topic, partition } = batch;
    const claim = this.#claims.get(keyOf(topic, partition));
    try {
      if (!claim?.handler) return;
      claim.sawEnd(Number(batch.highWatermark));
      // Asked for before a seek back: taking it would skip what lies between.
      if (Number((batch as FetchedBatch).fetchedOffset) > claim.position) {
        this.seek(claim);
        return;
      }
      const now = Date.now();
      const all = batch.messages.map((message) => toRecord(message, now));
      const records = all.filter(({ offset }) => offset >= claim.position);
      const last = records.at(-1);
      if (!last) return;
      claim.position = last.offset + 1;
      claim.handler.take(records);
    } catch (error) {
      this.#options.log.error({ err: error, topic, partition }, 'a handler failed to take records over');
      if (claim) this.#reopen(claim);
    }
  }

  /** The log no longer holds our position: go on at its start if it was cut below, stop if it ends above. */
  async #outOfRange(topic: string, partition: number): Promise<void> {
    const claim = this.#claims.get(keyOf(topic, partition));
    if (!claim) return;
    const { logStart } = await this.#opener.logRange(topic, partition);
    this.#options.log.error({ topic, partition, position: claim.position, log_start: logStart }, 'offset out of range');
    if (claim.position < logStart) {
      claim.position = logStart;
      claim.handler?.cutTo?.(logStart);
      this.seek(claim);
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
