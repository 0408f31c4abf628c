import type { TopicId } from '../../../core/brands.ts';
import type { InternalBroker } from './kafkajs-internals.ts';
import { requestMetadata } from './metadata-request.ts';

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
