import { Admin } from '@platformatic/kafka';
import type { TopicId } from '../../services/core/brands.ts';
import type { LogRange } from '../../services/platform/kafka/read/log-range.ts';
import type { ContractAdmin } from '../../services/platform/kafka/testing/contract/adapter.ts';
import type { NewTopic } from '../../services/platform/kafka/testing/kafka-admin.ts';
import { findBy } from './adapter.ts';
import { optionsOf } from './client-options.ts';

const TOPIC = 2;
const EARLIEST = -2n;
const LATEST = -1n;

export class SpikeAdmin implements ContractAdmin {
  readonly #admin: Admin;

  constructor(brokers: readonly string[]) {
    this.#admin = new Admin(optionsOf(brokers));
  }

  topics = () => this.#admin.listTopics();
  close = () => this.#admin.close();
  deleteTopics = (topics: readonly string[]) => this.#admin.deleteTopics({ topics: [...topics] });
  grow = (topic: string, count: number) =>
    this.#admin.createPartitions({ topics: [{ name: topic, count, assignments: null }] });
  groups = async () => [...(await this.#admin.listGroups()).keys()];

  /** Settings are those of a whole call, and no call waits for leaders: the ranges are asked for until they are there. */
  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    for (const { topic, partitions, replicationFactor: replicas = 1, settings = {} } of topics) {
      const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await this.#admin.createTopics({ topics: [{ topic, partitions, replicas }], configs });
      await this.logRanges(topic);
    }
  }

  async replaceSettings(topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
    await this.#admin.alterConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic, configs }] });
  }

  async settings(topic: string): Promise<Record<string, string>> {
    const [found] = await this.#admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic }] });
    return Object.fromEntries((found?.configs ?? []).map(({ name, value }) => [name, value ?? '']));
  }

  async cutLog(topic: string, partition: number, offset: number): Promise<void> {
    const partitions = [{ partition, offset: BigInt(offset) }];
    await this.#admin.deleteRecords({ topics: [{ name: topic, partitions }] });
  }

  async committed(group: string, topic: string) {
    const [found] = await this.#admin.listConsumerGroupOffsets({ groups: [group] });
    const partitions = found?.topics.find(({ name }) => name === topic)?.partitions ?? [];
    return new Map(
      partitions
        .filter(({ committedOffset }) => committedOffset >= 0n)
        .map((each) => [each.partitionIndex, { offset: Number(each.committedOffset), metadata: each.metadata ?? '' }]),
    );
  }

  async resetOffsets(groupId: string, topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    const partitionOffsets = [...offsets].map(([partition, offset]) => ({ partition, offset: BigInt(offset) }));
    await this.#admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets }] });
  }

  async logRanges(topic: string): Promise<LogRange[]> {
    const count = (await this.#topic(topic))?.partitionsCount ?? 0;
    if (count === 0) return [];
    const ask = async (timestamp: bigint) => {
      const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
      const [found] = await this.#admin.listOffsets({ topics: [{ name: topic, partitions }], isolationLevel: 0 });
      return new Map(found?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]));
    };
    const [starts, ends] = [await ask(EARLIEST), await ask(LATEST)];
    return Array.from({ length: count }, (_, partition) => ({
      partition,
      start: starts.get(partition) ?? 0,
      end: ends.get(partition) ?? 0,
    }));
  }

  async offsetsSince(topic: string, since: number, count: number): Promise<ReadonlyMap<number, number>> {
    const partitions = Array.from({ length: count }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp: BigInt(since),
    }));
    const [found] = await this.#admin.listOffsets({ topics: [{ name: topic, partitions }], isolationLevel: 0 });
    return new Map(found?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]));
  }

  async topicId(topic: string): Promise<TopicId | undefined> {
    const id = (await this.#topic(topic))?.id;
    return id === undefined ? undefined : (Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url') as TopicId);
  }

  async #topic(topic: string) {
    try {
      return (await this.#admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic);
    } catch (error) {
      if (/Unknown topic/.test(String(error)) || findBy(error, 'apiId', 'UNKNOWN_TOPIC_OR_PARTITION')) return undefined;
      throw error;
    }
  }
}
