import type { TopicId } from '../../../../core/brands.ts';
import type { Claim, OffsetAndMetadata, PartitionHandler } from '../../consume/claim.ts';
import type { OutgoingRecord } from '../../produce/pending-record.ts';
import type { LogRange } from '../../read/log-range.ts';
import type { FetchedRecord } from '../../record.ts';
import type { EnsureTopicsOptions, PartitionCounts } from '../../topics.ts';
import type { NewTopic } from '../kafka-admin.ts';

/**
 * What Parley asks of a client library and the code around it, no more than the services use. Whoever exchanges the client
 * writes these operations and runs the contract on them (docs/adr/0025).
 */
export interface KafkaAdapter {
  open(brokers: readonly string[]): ContractClient;
}

export interface ContractClient {
  producer(options?: ContractProducerOptions): Promise<ContractProducer>;
  consumer(options: ContractConsumerOptions): Promise<ContractConsumer>;
  /**
   * Commits as this member, over a connection of its own.
   *
   * @throws {ClaimLostError} where the group does not know the member in this generation.
   */
  commitAs(member: ContractMember, topic: string, partition: number, commit: OffsetAndMetadata): Promise<void>;
  /**
   * The stretch `[start, end)` of a log, a page a fetch, by assignment.
   *
   * @throws {ParleyError} KAFKA_UNREACHABLE, naming the partition that cannot be read.
   */
  pages(topic: string, partition: number, start: number, end: number): AsyncIterable<ContractPage>;
  /** The records of a topic from a time on, ms since the epoch, then whatever comes; neither group nor commits. */
  follow(topic: string, since: number, take: (value: string) => void): ContractFollower;
  logRanges(topic: string): Promise<readonly LogRange[]>;
  /** A topic that does not exist is left out. */
  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, TopicId>>;
  /** Parley's four topics, see `ensureTopics`; partition counts by topic. */
  ensureTopics(options: EnsureTopicsOptions): Promise<PartitionCounts>;
  admin(): Promise<ContractAdmin>;
}

export interface ContractProducerOptions {
  readonly ttlMs?: number;
  readonly lingerMs?: number;
  readonly maxBatchRecords?: number;
}

export interface ContractProducer {
  /**
   * Resolves when all in-sync replicas have the record, once and at this partition.
   *
   * @throws an error whose `code` is Kafka's name of it where Kafka refuses this very record; {ProduceTimeoutError} after
   * `ttlMs`.
   */
  send(record: OutgoingRecord): Promise<void>;
  /** Bytes handed in and not yet settled. */
  readonly pendingBytes: number;
  close(boundMs: number): Promise<void>;
}

interface ContractConsumerOptions {
  readonly groupId: string;
  readonly topic: string;
  readonly settleMs?: number;
  readonly assign: (claim: Claim) => Promise<PartitionHandler>;
}

export interface ContractConsumer {
  /** @throws naming the partition that cannot go on, or why this instance is no member. */
  check(): Promise<void>;
  close(): Promise<void>;
}

interface ContractMember {
  readonly groupId: string;
  readonly memberId: string;
  readonly generationId: number;
}

export interface ContractPage {
  readonly records: readonly FetchedRecord[];
  readonly next: number;
  readonly unreadable: readonly { readonly first: number; readonly next: number; readonly codec: string }[];
}

export interface ContractFollower {
  close(): Promise<void>;
}

/** What an operator does to a cluster with Kafka's own tools. */
export interface ContractAdmin {
  createTopics(topics: readonly NewTopic[]): Promise<void>;
  deleteTopics(topics: readonly string[]): Promise<void>;
  grow(topic: string, count: number): Promise<void>;
  /** In the place of all settings that the topic has of its own. */
  replaceSettings(topic: string, settings: Readonly<Record<string, string>>): Promise<void>;
  /** A topic's settings, those inherited from the broker too. */
  settings(topic: string): Promise<Record<string, string>>;
  cutLog(topic: string, partition: number, offset: number): Promise<void>;
  /** By partition; partitions without a commit are left out. */
  committed(group: string, topic: string): Promise<ReadonlyMap<number, OffsetAndMetadata>>;
  /** Without metadata; refused while the group has members. */
  resetOffsets(group: string, topic: string, offsets: ReadonlyMap<number, number>): Promise<void>;
  groups(): Promise<readonly string[]>;
  close(): Promise<void>;
}
