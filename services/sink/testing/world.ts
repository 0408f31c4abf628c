import { setTimeout as delay } from 'node:timers/promises';
import type { TopicId } from '../../core/brands.ts';
import { outcomePartition } from '../../core/outcome-partition.ts';
import { conversationKey } from '../../core/partitioner.ts';
import type { ChatOutcome } from '../../core/records.ts';
import { ChatCodec } from '../../platform/avro/codec.ts';
import { openRegistry } from '../../platform/avro/registry-access.ts';
import { type ClickHouse, createClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { OffsetCommitter } from '../../platform/kafka/consume/offset-committer.ts';
import { createKafka, type Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../platform/kafka/produce/batch-producer.ts';
import { ClusterView } from '../../platform/kafka/read/cluster-view.ts';
import { KafkaAdmin } from '../../platform/kafka/testing/kafka-admin.ts';
import { ensureTopics, groupNames, topicNames } from '../../platform/kafka/topics.ts';
import { createLogger } from '../../platform/logger.ts';
import { Metrics } from '../../platform/metrics.ts';
import { outcomeHeaders } from '../../platform/record-headers.ts';

export interface WorldOptions {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  readonly clickhouseUrl: string;
  readonly prefix: string;
  readonly database: string;
  readonly partitions: number;
  /** Partitions of chat.enriched; as many unless given. */
  readonly enrichedPartitions?: number;
}

/** The surroundings of a sink under test: it produces outcomes as the enricher does and reads what came of them. */
export class SinkWorld {
  readonly kafka: Kafka;
  readonly clickhouse: ClickHouse;
  readonly topics: ReturnType<typeof topicNames>;
  readonly group: string;
  readonly codec: ChatCodec;
  readonly #producer: BatchProducer;
  readonly #view: ClusterView;
  /** By which outcomes are produced. */
  layout: number;

  private constructor(
    kafka: Kafka,
    clickhouse: ClickHouse,
    options: WorldOptions,
    codec: ChatCodec,
    producer: BatchProducer,
    view: ClusterView,
  ) {
    this.kafka = kafka;
    this.clickhouse = clickhouse;
    this.topics = topicNames(options.prefix);
    this.group = groupNames(options.prefix).sink;
    this.codec = codec;
    this.#producer = producer;
    this.#view = view;
    this.layout = options.enrichedPartitions ?? options.partitions;
  }

  static async create(options: WorldOptions): Promise<SinkWorld> {
    const log = createLogger('test', 'silent');
    const brokers = options.kafkaBrokers.split(',');
    const kafka = createKafka({ brokers, clientId: 'sink-test', log });
    const { prefix, partitions, enrichedPartitions = partitions } = options;
    await ensureTopics(kafka, { prefix, partitions, enrichedPartitions, replicationFactor: 1 });
    const codec = await ChatCodec.connect({
      registry: openRegistry(options.registryUrl),
      topicNames: topicNames(prefix),
    });
    const producer = await BatchProducer.connect(kafka, { log, metrics: new Metrics('test') });
    const clickhouse = createClickHouse({ url: options.clickhouseUrl, database: options.database, log });
    const view = await ClusterView.connect(kafka, brokers);
    return new SinkWorld(kafka, clickhouse, options, codec, producer, view);
  }

  /** Resolves when Kafka has them all. */
  async produce(outcomes: readonly ChatOutcome[]): Promise<void> {
    await Promise.all(outcomes.map((outcome) => this.produceBytes(outcome, this.codec.encodeOutcome(outcome))));
  }

  /** Other bytes under an outcome's key, partition and headers. */
  produceBytes(outcome: ChatOutcome, value: Buffer, headers = outcomeHeaders(outcome)): Promise<void> {
    return this.#producer.send({
      topic: this.topics.enriched,
      partition: outcomePartition(outcome.source.partition, this.layout),
      key: conversationKey(outcome.tenant_id, outcome.bot_id, outcome.conversation_id),
      value,
      headers,
    });
  }

  /** Whether the sink has committed the whole log. */
  async isCaughtUp(): Promise<boolean> {
    const ranges = await this.#view.logRanges(this.topics.enriched);
    const committed = await this.#view.committed(this.group, this.topics.enriched);
    return ranges.every(({ partition, start, end }) => end === start || committed.get(partition) === end);
  }

  async caughtUp(timeoutMs = 60_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await this.isCaughtUp())) {
      if (performance.now() > deadline) throw new Error(`the sink did not catch up within ${timeoutMs} ms`);
      await delay(50);
    }
  }

  async count(table: string, where = '1'): Promise<number> {
    const [row] = await this.clickhouse.query<{ n: number }>(`SELECT count() AS n FROM ${table} WHERE ${where}`);
    return Number(row?.n ?? 0);
  }

  /** What an operator does with `kafka-consumer-groups --reset-offsets --to-earliest`: it clears the metadata too. */
  async resetToEarliest(partitions: number): Promise<void> {
    const earliest = new Map(Array.from({ length: partitions }, (_, partition) => [partition, 0]));
    // Refused while the group still counts a killed member: the caller tries again.
    await KafkaAdmin.use(this.kafka, (admin) => admin.resetOffsets(this.group, this.topics.enriched, earliest));
  }

  /** The log's id and, by partition, the offset that the next record will get. */
  async logEnds(): Promise<{ topicId: TopicId; ends: ReadonlyMap<number, number> }> {
    const [{ topic_id: topicId } = { topic_id: null }] = await this.#view.describeTopics([this.topics.enriched]);
    if (!topicId) throw new Error(`${this.topics.enriched} does not exist`);
    const ranges = await this.#view.logRanges(this.topics.enriched);
    return { topicId, ends: new Map(ranges.map(({ partition, end }) => [partition, end])) };
  }

  /** Gives chat.enriched more partitions, and nothing else. */
  async grow(count: number): Promise<void> {
    await KafkaAdmin.use(this.kafka, (admin) => admin.grow(this.topics.enriched, count));
  }

  /** Commits as a sink does that ends right after. */
  async commit(partition: number, offset: number, metadata: string): Promise<void> {
    const committer = await OffsetCommitter.connect({ kafka: this.kafka, groupId: this.group });
    // An empty group takes commits without a member.
    const session = { memberId: '', generationId: -1, assigned: [] };
    await committer.commit({
      topic: this.topics.enriched,
      partition,
      session: () => session,
      snapshot: () => ({ offset, metadata }),
    });
    await committer.close();
  }

  /** All that stands on chat.dlq. */
  async deadLetters(): Promise<{ value: Buffer | null; headers: Record<string, string> }[]> {
    const found: { value: Buffer | null; headers: Record<string, string> }[] = [];
    const reader = await this.#view.openLogReader();
    try {
      for (const { partition, start, end } of await this.#view.logRanges(this.topics.dlq)) {
        for await (const records of reader.read(this.topics.dlq, partition, start, end)) {
          for (const { value, headers } of records) {
            const texts = Object.entries(headers).map(([name, text]) => [name, String(text)] as const);
            found.push({ value, headers: Object.fromEntries(texts) });
          }
        }
      }
    } finally {
      await reader.close();
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#producer.close();
    await this.#view.close();
    await this.clickhouse.close();
  }
}
