import { setTimeout as delay } from 'node:timers/promises';
import type { TopicId } from '../../../core/brands.ts';
import { isOfOtherTopic } from '../../../core/commit-owner.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { readLogRanges } from '../read/log-ranges-look.ts';
import { fetchTopicIds } from '../read/topic-ids.ts';
import type { Claim, PartitionHandler } from './claim.ts';
import type { OffsetCommitter } from './offset-committer.ts';
import type { PartitionClaim, PartitionFacts } from './partition-claim.ts';
import type { PartitionTroubles } from './partition-troubles.ts';

interface OpenerOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly log: Logger;
  readonly troubles: PartitionTroubles;
  readonly assign: (claim: Claim) => Promise<PartitionHandler>;
}

/** An election is over by then. */
const LEADERLESS_MS = 5_000;
export const NO_REPLICA = 'no broker that is up has a replica';
const MAX_RETRY_DELAY_MS = 5_000;

class LeaderlessError extends Error {
  override readonly name = 'LeaderlessError';
}

/**
 * Finds out where a claimed partition stands, then has its handler made. All of it runs beside the consumer, which goes
 * on with its heartbeats, and is tried again for as long as the claim lasts.
 */
export class PartitionOpener {
  readonly #options: OpenerOptions;
  readonly #committer: OffsetCommitter;
  readonly #cluster: InternalCluster;
  readonly #idLookups = new Map<string, Promise<Map<string, TopicId>>>();

  private constructor(options: OpenerOptions, committer: OffsetCommitter, cluster: InternalCluster) {
    this.#options = options;
    this.#committer = committer;
    this.#cluster = cluster;
  }

  static async connect(options: OpenerOptions, committer: OffsetCommitter): Promise<PartitionOpener> {
    const cluster = openCluster(options.kafka);
    await cluster.connect();
    return new PartitionOpener(options, committer, cluster);
  }

  /** Resolves with undefined when the claim was lost meanwhile, or when the partition has to stay stopped. */
  async open(claim: PartitionClaim): Promise<PartitionHandler | undefined> {
    const { topic, partition } = claim;
    const { log, assign, troubles } = this.#options;
    let leaderlessSinceMs: number | undefined;
    for (let attempt = 0; claim.active; attempt++) {
      try {
        const facts = await this.#facts(topic, partition);
        leaderlessSinceMs = undefined;
        if (claim.active) troubles.report(topic, partition, 'PARTITION_LEADERLESS', undefined);
        if (this.#isBeyondEnd(topic, partition, facts)) return undefined;
        claim.setFacts(facts);
        return await assign(claim);
      } catch (error) {
        if (!claim.active) return undefined;
        leaderlessSinceMs = error instanceof LeaderlessError ? (leaderlessSinceMs ?? performance.now()) : undefined;
        if (leaderlessSinceMs !== undefined && performance.now() - leaderlessSinceMs > LEADERLESS_MS) {
          troubles.report(topic, partition, 'PARTITION_LEADERLESS', NO_REPLICA);
        }
        log.warn({ topic, partition, err: messageOf(error) }, 'a partition could not be opened yet');
        await delay(Math.random() * Math.min(100 * 2 ** attempt, MAX_RETRY_DELAY_MS));
      }
    }
    return undefined;
  }

  /** The next offset of each partition, as its leader has it now; what cannot be read is left out. */
  async logEnds(topic: string): Promise<ReadonlyMap<number, number>> {
    const { ranges } = await readLogRanges(this.#cluster, topic);
    return new Map(ranges.map(({ partition, end }) => [partition, end]));
  }

  async logRange(topic: string, partition: number): Promise<{ logStart: number; logEnd: number }> {
    const { ranges, failed } = await readLogRanges(this.#cluster, topic, partition);
    const [found] = ranges;
    const reason = failed.get(partition);
    if (reason === 'LEADER_NOT_AVAILABLE') throw new LeaderlessError(`${topic}/${partition} has no leader`);
    if (!found) throw new Error(`the log of ${topic}/${partition} cannot be read: ${reason}`);
    return { logStart: found.start, logEnd: found.end };
  }

  close(): Promise<void> {
    return this.#cluster.disconnect();
  }

  async #facts(topic: string, partition: number): Promise<PartitionFacts> {
    const [ids, [committed]] = await Promise.all([this.#topicIds(topic), this.#committer.fetch(topic, [partition])]);
    // After the commit: an end that was read before it could lie below it on a healthy partition.
    const range = await this.logRange(topic, partition);
    const topicId = ids.get(topic);
    if (!topicId) throw new Error(`${topic} does not exist`);
    const { offset, metadata } = committed ?? { offset: null, metadata: '' };
    return { topicId, committed: { offset, metadata }, ...range };
  }

  /** One look-up for all partitions of a topic that open together. */
  #topicIds(topic: string): Promise<Map<string, TopicId>> {
    const underWay = this.#idLookups.get(topic);
    if (underWay) return underWay;
    const lookup = fetchTopicIds(this.#options.kafka, [topic]).finally(() => this.#idLookups.delete(topic));
    this.#idLookups.set(topic, lookup);
    return lookup;
  }

  /**
   * Truncated, or another cluster's offset: reading on would skip or repeat silently, so the partition stops. The offset
   * of an earlier topic of this name is neither: handlers take it for none.
   */
  #isBeyondEnd(topic: string, partition: number, { committed, logEnd, topicId }: PartitionFacts): boolean {
    const { offset, metadata } = committed;
    const beyond = offset !== null && offset > logEnd && !isOfOtherTopic(metadata, topicId);
    const detail = `committed is ${offset}, the log ends at ${logEnd}`;
    this.#options.troubles.report(topic, partition, 'OFFSET_BEYOND_LOG_END', beyond ? detail : undefined);
    return beyond;
  }
}
