import { Admin, offsetCommitV9, offsetFetchV9 } from '@platformatic/kafka';
import type { TopicId } from '../../services/core/brands.ts';
import { ParleyError } from '../../services/core/errors.ts';
import { ClaimLostError } from '../../services/platform/kafka/consume/claim.ts';
import type { ContractClient, KafkaAdapter } from '../../services/platform/kafka/testing/contract/adapter.ts';
import { checkSettings } from '../../services/platform/kafka/topic-check.ts';
import { topicSettings } from '../../services/platform/kafka/topics.ts';
import { SpikeAdmin } from './admin.ts';
import { optionsOf } from './client-options.ts';
import { SpikeConsumer } from './consumer.ts';
import { Fetcher } from './fetcher.ts';
import { SpikeProducer } from './producer.ts';

/** Parley's contract on the public classes of @platformatic/kafka, and on its requests where a class falls short. */
export const platformaticAdapter: KafkaAdapter = { open: (brokers) => new SpikeClient(brokers) };

export type Member = Parameters<ContractClient['commitAs']>[0];

export interface Committed {
  readonly offset: number | null;
  readonly metadata: string;
}

export class SpikeClient implements ContractClient {
  readonly brokers: readonly string[];

  constructor(brokers: readonly string[]) {
    this.brokers = brokers;
  }

  producer = async (options = {}) => new SpikeProducer(this.brokers, options);
  consumer: ContractClient['consumer'] = (options) => SpikeConsumer.start(this, options);
  admin = async () => new SpikeAdmin(this.brokers);
  logRanges = (topic: string) => this.#use((admin) => admin.logRanges(topic));

  /** `Consumer.commit` sends null for the metadata, and after a rejoin again with the new generation: so by the request. */
  async commitAs(
    { groupId, memberId, generationId }: Member,
    topic: string,
    partition: number,
    { offset, metadata }: { offset: number; metadata: string },
  ): Promise<void> {
    const entry = {
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    };
    await this.#atCoordinator(groupId, async (connection) => {
      try {
        const topics = [{ name: topic, partitions: [entry] }];
        await offsetCommitV9.api.async(connection, groupId, generationId, memberId, null, topics);
      } catch (error) {
        const fenced = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'].find((id) => findBy(error, 'apiId', id));
        throw fenced ? new ClaimLostError(fenced) : error;
      }
    });
  }

  async committed(groupId: string, topic: string, partition: number): Promise<Committed> {
    return await this.#atCoordinator(groupId, async (connection) => {
      const group = {
        groupId,
        memberId: null,
        memberEpoch: -1,
        topics: [{ name: topic, partitionIndexes: [partition] }],
      };
      const { groups } = await offsetFetchV9.api.async(connection, [group], false);
      const found = groups[0]?.topics[0]?.partitions[0];
      const offset = Number(found?.committedOffset ?? -1n);
      return { offset: offset < 0 ? null : offset, metadata: found?.metadata ?? '' };
    });
  }

  async *pages(topic: string, partition: number, start: number, end: number) {
    const fetcher = new Fetcher(this.brokers);
    try {
      let next = start;
      for (let failures = 0; next < end; ) {
        const ranges = await this.logRanges(topic);
        const range = ranges.find((each) => each.partition === partition);
        if (!range) throw new ParleyError('KAFKA_UNREACHABLE', `${topic} partition ${partition} does not exist`);
        next = Math.max(next, range.start);
        if (next >= end) return;
        const [page] = await fetcher.fetch(topic, new Map([[partition, next]]), 500);
        if (page && page.next > next) {
          failures = 0;
          next = page.next;
          const records = page.records.filter(({ offset }) => offset < end);
          yield { records, next: Math.min(next, end), unreadable: [] };
        } else if (++failures > 8) throw new ParleyError('KAFKA_UNREACHABLE', `${topic} partition ${partition}`);
      }
    } finally {
      await fetcher.close();
    }
  }

  follow(topic: string, since: number, take: (value: string) => void) {
    const fetcher = new Fetcher(this.brokers);
    return fetcher.follow(topic, since, take);
  }

  async topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, TopicId>> {
    return await this.#use(async (admin) => {
      const found = new Map<string, TopicId>();
      for (const topic of topics) {
        const id = await admin.topicId(topic);
        if (id) found.set(topic, id);
      }
      return found;
    });
  }

  async ensureTopics({ prefix, partitions, replicationFactor, create }: Parameters<ContractClient['ensureTopics']>[0]) {
    const wanted = topicSettings({
      events: `${prefix}chat.events`,
      enriched: `${prefix}chat.enriched`,
      dlq: `${prefix}chat.dlq`,
      replay: `${prefix}chat.replay`,
    });
    return await this.#use(async (admin) => {
      const existing = new Set(await admin.topics());
      const missing = Object.entries(wanted).filter(([topic]) => !existing.has(topic));
      if (missing.length > 0 && create === false) {
        throw new ParleyError('TOPIC_MISSING', missing.map(([topic]) => topic).join(', '));
      }
      for (const [topic, settings] of missing) {
        await admin.createTopics([{ topic, partitions, replicationFactor, settings }]).catch((error) => {
          if (!findBy(error, 'apiId', 'TOPIC_ALREADY_EXISTS')) throw error;
        });
      }
      const counts = new Map<string, number>();
      for (const [topic, settings] of Object.entries(wanted)) {
        const actual = new Map(Object.entries(await admin.settings(topic)));
        const { errors } = checkSettings(topic, settings, actual, 1);
        if (errors.length > 0) throw new ParleyError('TOPIC_SETTINGS', errors.join('; '));
        counts.set(topic, (await admin.logRanges(topic)).length);
      }
      return counts;
    });
  }

  async #use<T>(work: (admin: SpikeAdmin) => Promise<T>): Promise<T> {
    const admin = new SpikeAdmin(this.brokers);
    try {
      return await work(admin);
    } finally {
      await admin.close();
    }
  }

  async #atCoordinator<T>(
    groupId: string,
    work: (connection: Awaited<ReturnType<Admin['connections']['get']>>) => Promise<T>,
  ): Promise<T> {
    const admin = new Admin(optionsOf(this.brokers));
    try {
      const [found] = await admin.findCoordinator({ keyType: 0, keys: [groupId] });
      if (!found) throw new Error(`${groupId} has no coordinator`);
      return await work(await admin.connections.get({ host: found.host, port: found.port }));
    } finally {
      await admin.close();
    }
  }
}

/** The error itself or one within it that has this property. */
export function findBy(error: unknown, property: string, value: unknown): boolean {
  const found = (error as { findBy?: (property: string, value: unknown) => unknown }).findBy;
  return Boolean(found?.call(error, property, value));
}
