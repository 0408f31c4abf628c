import type { TopicId } from '../../../core/brands.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalBroker, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { type ClusterState, requestMetadata } from '../kafkajs/metadata-request.ts';

/** What the cluster calls itself and its topics; a topic that does not exist is left out. */
export interface ClusterIds {
  readonly clusterId: string;
  readonly topics: ReadonlyMap<string, TopicId>;
  /** Partition counts by topic. */
  readonly partitions: ReadonlyMap<string, number>;
  /** Topics of which the cluster does not say whether they exist: this user may not describe them. */
  readonly hidden: readonly string[];
}

const TOPIC_AUTHORIZATION_FAILED = 29;

export async function requestIds(broker: InternalBroker, topics: readonly string[]): Promise<ClusterIds> {
  const { clusterId, topics: found } = await requestMetadata(broker, topics);
  const there = found.filter(({ error }) => error === 0);
  return {
    clusterId,
    topics: new Map(there.map(({ topic, topicId }) => [topic, topicId])),
    partitions: new Map(there.map(({ topic, partitions }) => [topic, partitions.length])),
    hidden: found.filter(({ error }) => error === TOPIC_AUTHORIZATION_FAILED).map(({ topic }) => topic),
  };
}

/** What a broker says of these topics now, also of those that do not exist. */
export async function fetchTopicStates(kafka: Kafka, topics: readonly string[]): Promise<ClusterState> {
  return await asking(kafka, (broker) => requestMetadata(broker, topics));
}

/** Kafka's own ids of topics, by name; a topic that does not exist is left out. */
export async function fetchTopicIds(kafka: Kafka, topics: readonly string[]): Promise<Map<string, TopicId>> {
  return await asking(kafka, async (broker) => new Map((await requestIds(broker, topics)).topics));
}

async function asking<T>(kafka: Kafka, ask: (broker: InternalBroker) => Promise<T>): Promise<T> {
  const cluster = openCluster(kafka);
  try {
    await cluster.connect();
    await cluster.refreshMetadata();
    return await ask(await cluster.findControllerBroker());
  } finally {
    await cluster.disconnect();
  }
}
