import type { TopicId } from '../../../core/brands.ts';

export interface PartitionState {
  readonly partition: number;
  /** Kafka's error code; 0 is none. */
  readonly error: number;
  /** The leader's node id; -1 where there is none. */
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface TopicState {
  readonly topic: string;
  readonly topicId: TopicId;
  /** Kafka's error code for the topic; 0 is none. */
  readonly error: number;
  /** In the order of their numbers. */
  readonly partitions: readonly PartitionState[];
}

export interface ClusterState {
  readonly clusterId: string;
  /** Node ids of the brokers that are alive. */
  readonly nodes: readonly number[];
  /** The topics that were asked for, also those that do not exist. */
  readonly topics: readonly TopicState[];
}
