import kafkajs, { type Admin, type ConfigEntries } from 'kafkajs';
import { eventually } from '../../../core/testing/eventually.ts';
import { clientOf } from '../kafkajs/client.ts';
import type { Kafka } from '../kafkajs/kafka.ts';

/** One right of one user, by Kafka's own names: `Read` on the topic `chat.events`, say. */
export interface Grant {
  readonly user: string;
  readonly resource: 'topic' | 'group';
  readonly name: string;
  /** For every name that begins so; else for this one alone. */
  readonly prefixed: boolean;
  /** `Read`, `DescribeConfigs`, `IdempotentWrite`. */
  readonly operation: string;
}

export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor?: number;
  readonly settings?: Readonly<Record<string, string>>;
}

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes, ConfigResourceTypes } = kafkajs;
/** Kafka's number of the source DYNAMIC_TOPIC_CONFIG. */
const SET_ON_TOPIC = 1;

/** What an operator does to a cluster with Kafka's own tools, for tests and benches. */
export class KafkaAdmin {
  readonly #admin: Admin;

  private constructor(admin: Admin) {
    this.#admin = admin;
  }

  /** @param retries of each call; by default those of the client. */
  static async connect(kafka: Kafka, retries?: number): Promise<KafkaAdmin> {
    const admin = clientOf(kafka).admin(retries === undefined ? undefined : { retry: { retries } });
    await admin.connect();
    return new KafkaAdmin(admin);
  }

  /** For one piece of work, and no longer. */
  static async use<T>(kafka: Kafka, work: (admin: KafkaAdmin) => Promise<T>): Promise<T> {
    const admin = await KafkaAdmin.connect(kafka);
    try {
      return await work(admin);
    } finally {
      await admin.close();
    }
  }

  close(): Promise<void> {
    return this.#admin.disconnect();
  }

  /** Waits for leaders, unless told otherwise. */
  async createTopics(topics: readonly NewTopic[], waitForLeaders = true): Promise<void> {
    await this.#admin.createTopics({
      // It would ask once, and fail on a busy broker.
      waitForLeaders: false,
      topics: topics.map(({ topic, partitions, replicationFactor = 1, settings = {} }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor,
        configEntries: entriesOf(settings),
      })),
    });
    if (waitForLeaders) for (const { topic } of topics) await eventually(() => this.leaders(topic));
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    await this.#admin.deleteTopics({ topics: [...topics] });
  }

  /** Gives a topic so many partitions. */
  async grow(topic: string, count: number): Promise<void> {
    await this.#admin.createPartitions({ topicPartitions: [{ topic, count }] });
  }

  /** In the place of all settings that the topic has of its own. */
  async replaceSettings(topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: entriesOf(settings) };
    await this.#admin.alterConfigs({ validateOnly: false, resources: [resource] });
  }

  /** A topic's settings, those inherited from the broker too. */
  async settings(topic: string): Promise<Record<string, string>> {
    return settingsOf(await this.#entries(topic));
  }

  /** Those that are set on the topic itself. */
  async ownSettings(topic: string): Promise<Record<string, string>> {
    return settingsOf((await this.#entries(topic)).filter(({ configSource }) => configSource === SET_ON_TOPIC));
  }

  async #entries(topic: string): Promise<readonly ConfigEntries[]> {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
    const { resources } = await this.#admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
    return resources[0]?.configEntries ?? [];
  }

  /** What retention does, at once: the log begins at this offset. */
  async cutLog(topic: string, partition: number, offset: number): Promise<void> {
    // kafkajs deletes only in topics whose metadata it has asked for before.
    await this.#admin.fetchTopicOffsets(topic);
    await this.#admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
  }

  /** By partition, the offset that the next record will get. */
  async logEnds(topic: string): Promise<Map<number, number>> {
    const offsets = await this.#admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
  }

  /** By partition, the node that leads it. @throws while one has no leader. */
  async leaders(topic: string): Promise<Map<number, number>> {
    const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] });
    return new Map(topics[0]?.partitions.map(({ partitionId, leader }) => [partitionId, leader]));
  }

  /** A group's commits in a topic, by partition; partitions without one are left out. */
  async committed(group: string, topic: string): Promise<Map<number, { offset: number; metadata: string }>> {
    const [found] = await this.#admin.fetchOffsets({ groupId: group, topics: [topic] });
    const set = (found?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0);
    return new Map(
      set.map(({ partition, offset, metadata }) => [partition, { offset: Number(offset), metadata: metadata ?? '' }]),
    );
  }

  /** What `kafka-consumer-groups --reset-offsets` does: the metadata go as well. Refused while the group has members. */
  async resetOffsets(group: string, topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }));
    await this.#admin.setOffsets({ groupId: group, topic, partitions });
  }

  /** Refused while a group has members. */
  async deleteGroups(groups: readonly string[]): Promise<void> {
    await this.#admin.deleteGroups([...groups]);
  }

  /** The names of all groups. */
  async groups(): Promise<string[]> {
    const { groups } = await this.#admin.listGroups();
    return groups.map(({ groupId }) => groupId);
  }

  async allow(grants: readonly Grant[]): Promise<void> {
    await this.#admin.createAcls({ acl: grants.map(aclOf) });
  }

  async withdraw(grants: readonly Grant[]): Promise<void> {
    await this.#admin.deleteAcls({ filters: grants.map(aclOf) });
  }
}

const settingsOf = (entries: readonly ConfigEntries[]) =>
  Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]));

const entriesOf = (settings: Readonly<Record<string, string>>) =>
  Object.entries(settings).map(([name, value]) => ({ name, value }));

const aclOf = ({ user, resource, name, prefixed, operation }: Grant) => ({
  resourceType: AclResourceTypes[resource === 'topic' ? 'TOPIC' : 'GROUP'],
  resourceName: name,
  resourcePatternType: ResourcePatternTypes[prefixed ? 'PREFIXED' : 'LITERAL'],
  principal: `User:${user}`,
  host: '*',
  operation:
    AclOperationTypes[operation.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase() as keyof typeof AclOperationTypes],
  permissionType: AclPermissionTypes.ALLOW,
});
