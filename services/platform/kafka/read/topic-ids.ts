import type { TopicId } from '../../../core/brands.ts';
import { requestIds } from '../kafkajs/cluster-ids.ts';
import type { ClusterState } from '../kafkajs/cluster-state.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalBroker, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { requestMetadata } from '../kafkajs/metadata-request.ts';

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
