import { eventually } from '../../services/core/testing/eventually.ts';
import { createKafka, type Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { groupNames, topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';

type Admin = ReturnType<Kafka['admin']>;

/** A broker may be killed or frozen at the same time: what is done to the cluster is done once it answers. */
const PATIENCE_MS = 60_000;
const GROWTH = 3;
const DESCRIBE_TOPIC = 2;
/** Set on the topic itself, and not a default of the broker. */
const SET_ON_TOPIC = 1;
/** A record must not be older than this when it is appended, which none is: INVALID_TIMESTAMP, until it is set back. */
const REFUSING = { name: 'message.timestamp.before.max.ms', value: '0' };

/** What an operator of the cluster does to Parley's topics while all runs. */
export class ClusterHand {
  readonly #kafka: Kafka;

  constructor(brokers: readonly string[]) {
    this.#kafka = createKafka({
      brokers: [...brokers],
      clientId: 'chaos-cluster',
      log: createLogger('chaos', 'silent'),
    });
  }

  /** Three partitions more. */
  async grow(topic: string): Promise<void> {
    let count: number | undefined;
    await this.#do(async (admin) => {
      const now = await this.#partitions(admin, topic);
      // Asked again after an answer was lost: as many as were meant at first.
      count ??= now + GROWTH;
      if (now < count) await admin.createPartitions({ topicPartitions: [{ topic, count }] });
    });
  }

  /** What the enrichers have committed in chat.events is deleted; what they have not stays. */
  async deleteCommitted(): Promise<void> {
    const { events } = topicNames();
    await this.#do(async (admin) => {
      const [committed] = await admin.fetchOffsets({ groupId: groupNames().enricher, topics: [events] });
      // kafkajs deletes nothing in a topic that this client has not looked at.
      const lows = new Map((await admin.fetchTopicOffsets(events)).map(({ partition, low }) => [partition, low]));
      const partitions = (committed?.partitions ?? [])
        .filter(({ partition, offset }) => Number(offset) > Number(lows.get(partition) ?? 0))
        .map(({ partition, offset }) => ({ partition, offset }));
      if (partitions.length > 0) await admin.deleteTopicRecords({ topic: events, partitions });
    });
  }

  /** Every record for the topic is refused from now on. */
  async refuse(topic: string): Promise<void> {
    await this.#change(topic, (others) => [...others, REFUSING]);
  }

  async accept(topic: string): Promise<void> {
    await this.#change(topic, (others) => others);
  }

  /** kafkajs replaces all settings of a topic by those that it is given. */
  async #change(topic: string, change: (others: (typeof REFUSING)[]) => (typeof REFUSING)[]): Promise<void> {
    await this.#do(async (admin) => {
      const resource = { type: DESCRIBE_TOPIC, name: topic };
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
      const set = (resources[0]?.configEntries ?? []).filter(({ configSource }) => configSource === SET_ON_TOPIC);
      const others = set
        .filter(({ configName }) => configName !== REFUSING.name)
        .map(({ configName: name, configValue: value }) => ({ name, value }));
      await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: change(others) }] });
    });
  }

  async #partitions(admin: Admin, topic: string): Promise<number> {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0]?.partitions.length ?? 0;
  }

  /** By an admin that knows nothing of leaders that have moved. */
  async #do(work: (admin: Admin) => Promise<void>): Promise<void> {
    await eventually(
      async () => {
        const admin = this.#kafka.admin();
        try {
          await admin.connect();
          await work(admin);
        } finally {
          await admin.disconnect();
        }
      },
      { timeoutMs: PATIENCE_MS },
    );
  }
}
