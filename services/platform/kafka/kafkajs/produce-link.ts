import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import { type Kafka, traitsOf } from './kafka.ts';
import { forgetClosed, type InternalBroker, type InternalCluster, openCluster } from './kafkajs-internals.ts';
import { requestMetadata } from './metadata-request.ts';
import { ProduceEncoder, type ProducerIdentity, type TopicPartitionRecords } from './record-batch-encoder.ts';

/** Kafka's error codes by topic and partition; 0 is none. */
export type ErrorCodes = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** A leader that is connected. */
export interface ReachedLeader {
  /** @throws when there was no answer: the records may or may not be in the log. */
  produce(batches: readonly TopicPartitionRecords[]): Promise<ErrorCodes>;
}

const PRODUCE_API_KEY = 0;
/** The newest version that every broker since 2.1 has; it takes zstd. */
const PRODUCE_VERSION = 7;
const ALL_IN_SYNC = -1;
/**
 * How long a leader waits for its replicas. Below the 5 s after which this client takes a connection for dead: a slow
 * replica is answered with REQUEST_TIMED_OUT for its partitions, and the connection goes on.
 */
const ACK_TIMEOUT_MS = 4_000;
const REFRESH_EVERY_MS = 100;
const CONNECT_TRIES = 40;
const CONNECT_PAUSE_MS = 500;

/** The brokers as one producer sees them: who leads a partition, new producer ids, and Produce requests with their answers. */
export class ProduceLink {
  readonly #cluster: InternalCluster;
  readonly #log: Logger;
  readonly #encoder: ProduceEncoder;
  /** By topic and partition, the leader's node id. */
  readonly #leaders = new Map<string, ReadonlyMap<number, number>>();
  #refreshing: Promise<void> | undefined;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(kafka: Kafka, log: Logger) {
    this.#cluster = openCluster(kafka);
    this.#encoder = new ProduceEncoder(traitsOf(kafka).compression);
    this.#log = log;
  }

  /** @returns a first producer id. @throws the last error once no broker has given one for about 20 s. */
  async connect(): Promise<ProducerIdentity> {
    await this.#cluster.connect();
    await this.#cluster.refreshMetadata();
    for (let tries = 1; ; tries++) {
      try {
        return await this.newIdentity();
      } catch (error) {
        // A broker that has just started has not loaded yet what it gives ids from.
        const { retriable = true } = error as { retriable?: boolean };
        if (!retriable || tries >= CONNECT_TRIES) throw error;
        await delay(CONNECT_PAUSE_MS);
      }
    }
  }

  async disconnect(): Promise<void> {
    await this.#cluster.disconnect().catch((error: unknown) => {
      this.#log.debug({ err: messageOf(error) }, 'a producer did not disconnect cleanly');
    });
  }

  /** The node that leads the partition, as far as known; see {@link refresh}. */
  leaderOf(topic: string, partition: number): number | undefined {
    return this.#leaders.get(topic)?.get(partition);
  }

  /** Whether a broker has said what partitions the topic has. */
  knows(topic: string): boolean {
    return this.#leaders.has(topic);
  }

  get refreshing(): boolean {
    return this.#refreshing !== undefined;
  }

  /** Asks for the leaders of these topics, unless that is under way, and at most ten times a second. */
  refresh(topics: Iterable<string>): Promise<void> {
    this.#refreshing ??= this.#refresh(topics).finally(() => {
      this.#refreshing = undefined;
      this.#refreshedAtMs = performance.now();
    });
    return this.#refreshing;
  }

  async #refresh(topics: Iterable<string>): Promise<void> {
    const waitMs = REFRESH_EVERY_MS - (performance.now() - this.#refreshedAtMs);
    if (waitMs > 0) await delay(waitMs, undefined, { ref: false });
    try {
      await this.#cluster.connect();
      await this.#cluster.refreshMetadata();
      const state = await requestMetadata(await this.#cluster.brokerPool.findConnectedBroker(), [...topics]);
      for (const { topic, partitions } of state.topics) {
        const led = partitions.filter(({ leader }) => state.nodes.includes(leader));
        this.#leaders.set(topic, new Map(led.map(({ partition, leader }) => [partition, leader])));
      }
    } catch (error) {
      this.#log.debug({ err: messageOf(error) }, 'a producer could not refresh its metadata');
    }
  }

  /** @throws when the node cannot be connected to: nothing was sent. */
  async reach(node: number): Promise<ReachedLeader> {
    const broker = await this.#cluster.findBroker({ nodeId: String(node) });
    return { produce: (batches) => this.#produce(broker, batches) };
  }

  /** @throws when no broker gives one. */
  async newIdentity(): Promise<ProducerIdentity> {
    const broker = await this.#cluster.brokerPool.findConnectedBroker();
    const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 60_000 });
    return { producerId: String(producerId), producerEpoch };
  }

  lost(error: unknown): void {
    forgetClosed(this.#cluster, error);
  }

  async #produce(broker: InternalBroker, batches: readonly TopicPartitionRecords[]): Promise<ErrorCodes> {
    const encoded = this.#encoder.encode({ acks: ALL_IN_SYNC, timeoutMs: ACK_TIMEOUT_MS, batches }, Date.now());
    const answer = (await broker.connectionPool.send({
      request: {
        apiKey: PRODUCE_API_KEY,
        apiVersion: PRODUCE_VERSION,
        apiName: 'Produce',
        // kafkajs wants its Encoder: of it, only `buf` and `buffer` are read.
        encode: async () => ({ buf: encoded, buffer: encoded }),
      },
      response: { decode: async (payload: Buffer) => decodeAnswer(payload), parse: async (data: unknown) => data },
    })) as ReturnType<typeof decodeAnswer>;
    return answer.codes;
  }
}

/** Produce v7: an error and three numbers (offset, append time, log start) a partition, then for how long to pause. */
function decodeAnswer(payload: Buffer): { codes: ErrorCodes; clientSideThrottleTime: number } {
  let at = 0;
  const int32 = () => {
    at += 4;
    return payload.readInt32BE(at - 4);
  };
  const codes = new Map<string, Map<number, number>>();
  for (let topics = int32(); topics > 0; topics--) {
    const length = payload.readInt16BE(at);
    const topic = payload.toString('utf8', at + 2, at + 2 + length);
    at += 2 + length;
    const ofTopic = new Map<number, number>();
    for (let partitions = int32(); partitions > 0; partitions--) {
      const partition = int32();
      ofTopic.set(partition, payload.readInt16BE(at));
      at += 2 + 24;
    }
    codes.set(topic, ofTopic);
  }
  // kafkajs holds further requests back for this long (KIP-219).
  return { codes, clientSideThrottleTime: int32() };
}
