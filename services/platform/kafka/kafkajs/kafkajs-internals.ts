import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Kafka } from './handle.ts';

/**
 * The few inner parts of kafkajs 2.2.4 that Parley has to reach, each with the type of just what is used. kafkajs has
 * had no release since 2023 and its version is pinned, so these paths do not move; everything that knows them is in
 * this folder.
 */
const require = createRequire(import.meta.url);

export interface InternalBroker {
  /** What the broker said it speaks, by API key; null before it was asked. */
  readonly versions?: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>> | null;
  readonly connectionPool: { send(protocol: object): Promise<unknown> };
  /** Idempotent, not transactional: any broker gives one. */
  initProducerId(request: { transactionTimeout: number }): Promise<{ producerId: unknown; producerEpoch: number }>;
}

interface PartitionMetadata {
  readonly partitionId: number;
  /** The node id; -1 while there is none. */
  readonly leader: number;
}

export interface InternalCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
  /** Node ids, as text. */
  getNodeIds(): readonly string[];
  refreshMetadata(): Promise<void>;
  /** Once its age is that of `metadataMaxAge`. */
  refreshMetadataIfNecessary(): Promise<void>;
  /** Empty for a topic that is not known. */
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
  findGroupCoordinator(group: { groupId: string }): Promise<InternalBroker>;
  findControllerBroker(): Promise<InternalBroker>;
  addTargetTopic(topic: string): Promise<void>;
  findBroker(node: { nodeId: string }): Promise<InternalBroker>;
  removeBroker(address: { host: string; port: number }): void;
  readonly brokerPool: { findConnectedBroker(): Promise<InternalBroker> };
}

export interface InternalConsumerGroup {
  readonly cluster: InternalCluster;
  readonly groupId: string;
  generationId: number;
  memberId: string;
  assigned(): { topic: string; partitions: number[] }[];
  /** @throws where a topic has got partitions since the join. */
  checkForStaleAssignment(): void;
  /** @throws what it cannot recover from. */
  recoverFromFetch(error: unknown): Promise<void>;
}

type Prototype<T> = { prototype: T };

export const ConsumerGroupClass = require('kafkajs/src/consumer/consumerGroup') as Prototype<{
  connect(this: InternalConsumerGroup): Promise<void>;
  joinAndSync(this: InternalConsumerGroup): Promise<void>;
  fetch(this: InternalConsumerGroup, nodeId: string): Promise<unknown[]>;
}>;

export interface InternalConnection {
  readonly socket?: Socket;
  readonly requestQueue: InternalRequestQueue;
}

export const ConnectionClass = require('kafkajs/src/network/connection') as Prototype<{
  connect(this: InternalConnection): Promise<boolean>;
}>;

export interface MetadataResponse {
  readonly topicMetadata: readonly { readonly topicErrorCode: number }[];
}

interface MetadataProtocol {
  readonly request: { readonly apiVersion: number };
  readonly response: { readonly decode: unknown };
}

export interface ConnectingBroker {
  readonly connectionPool: {
    readonly ssl?: unknown;
    readonly sasl?: unknown;
    send(protocol: object): Promise<unknown>;
  };
  readonly allowAutoTopicCreation: boolean;
  /** The newest version that the broker and kafkajs both speak. */
  lookupRequest(
    apiKey: number,
    definitions: object,
  ): (ask: { readonly topics: readonly string[]; readonly allowAutoTopicCreation: boolean }) => MetadataProtocol;
  disconnect(): Promise<void>;
}

export const BrokerClass = require('kafkajs/src/broker') as Prototype<{
  connect(this: ConnectingBroker): Promise<void>;
  metadata(this: ConnectingBroker, topics?: readonly string[]): Promise<unknown>;
}>;

export const BrokerPoolClass = require('kafkajs/src/cluster/brokerPool') as Prototype<{
  refreshMetadata(this: object, topics: readonly string[]): Promise<void>;
}>;

export interface InternalRequest {
  timeoutHandler: () => void;
}

export interface InternalRequestQueue {
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  readonly pending: readonly unknown[];
  checkPendingRequests(): void;
}

export const RequestQueueClass = require('kafkajs/src/network/requestQueue') as Prototype<{
  scheduleCheckPendingRequests(this: InternalRequestQueue): void;
  createSocketRequest(this: InternalRequestQueue, request: object): InternalRequest;
}>;

/** A cluster connection of our own with a client's options: for requests that its public API has no call for. */
export function openCluster(kafka: Kafka): InternalCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description?.endsWith(':createCluster'));
  if (!symbol) throw new Error('this kafkajs has no createCluster; Parley is made for 2.2.4');
  const create = (kafka as unknown as Record<symbol, (options: object) => InternalCluster>)[symbol];
  return (create as (options: object) => InternalCluster)({ metadataMaxAge: 300_000, allowAutoTopicCreation: false });
}

/** Forgets a connection that was closed, so that the next use makes a new one. */
export function forgetClosed(cluster: InternalCluster, error: unknown): void {
  const { name, host, port } = error as { name?: string; host?: string; port?: number };
  if (name === 'KafkaJSConnectionClosedError' && host !== undefined && port !== undefined) {
    cluster.removeBroker({ host, port });
  }
}
