import { systemClock } from '../../../core/clock.ts';
import { conversationKey } from '../../../core/partitioner.ts';
import type { ChatEvent } from '../../../core/records.ts';
import { eventually } from '../../../core/testing/eventually.ts';
import type { StackAddresses } from '../../../local/testing/stack.ts';
import { ChatCodec } from '../../../platform/avro/codec.ts';
import { openRegistry } from '../../../platform/avro/registry-access.ts';
import { type ClickHouse, createClickHouse } from '../../../platform/clickhouse/clickhouse.ts';
import { OffsetCommitter } from '../../../platform/kafka/consume/offset-committer.ts';
import { createKafka, type Kafka } from '../../../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../../platform/kafka/produce/batch-producer.ts';
import { ClusterView } from '../../../platform/kafka/read/cluster-view.ts';
import { KafkaAdmin } from '../../../platform/kafka/testing/kafka-admin.ts';
import { ensureTopics, groupNames, type TopicNames, topicNames } from '../../../platform/kafka/topics.ts';
import { Metrics } from '../../../platform/metrics.ts';
import { sampleEvent } from '../../../platform/testing/sample-event.ts';
import { testLog } from '../../../platform/testing/topic-log.ts';
import { expectExactlyOnce } from '../../exactly-once.ts';
import { verifySources } from '../../sources.ts';
import { type VerifyReport, verify } from '../../verify.ts';

export interface ReflexWorldOptions {
  readonly addresses: Pick<StackAddresses, 'kafkaBrokers' | 'registryUrl' | 'clickhouseUrl'>;
  readonly names: { readonly TOPIC_PREFIX: string; readonly CLICKHOUSE_DATABASE: string };
  readonly partitions: number;
}

/** A system as its operator holds it: messages that were acked, what an admin tool can do, and what has to be true after. */
export class ReflexWorld {
  readonly topics: TopicNames;
  readonly groups: ReturnType<typeof groupNames>;
  readonly clickhouse: ClickHouse;
  /** Ids of all messages that Kafka acked, and so each must be there once. */
  readonly acked = new Set<string>();
  readonly #kafka: Kafka;
  readonly #codec: ChatCodec;
  readonly #producer: BatchProducer;
  readonly #view: ClusterView;
  readonly #options: ReflexWorldOptions;

  private constructor(
    options: ReflexWorldOptions,
    kafka: Kafka,
    codec: ChatCodec,
    producer: BatchProducer,
    view: ClusterView,
  ) {
    const { addresses, names } = options;
    this.#options = options;
    this.#kafka = kafka;
    this.#codec = codec;
    this.#producer = producer;
    this.#view = view;
    this.topics = topicNames(names.TOPIC_PREFIX);
    this.groups = groupNames(names.TOPIC_PREFIX);
    const [url, database] = [addresses.clickhouseUrl, names.CLICKHOUSE_DATABASE];
    this.clickhouse = createClickHouse({ url, database, log: testLog() });
  }

  static async connect(options: ReflexWorldOptions): Promise<ReflexWorld> {
    const { addresses, names, partitions } = options;
    const log = testLog();
    const brokers = addresses.kafkaBrokers.split(',');
    const kafka = createKafka({ brokers, clientId: 'reflex-test', log });
    await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions, replicationFactor: 1 });
    const topics = topicNames(names.TOPIC_PREFIX);
    const codec = await ChatCodec.connect({ registry: openRegistry(addresses.registryUrl), topicNames: topics });
    const producer = await BatchProducer.connect(kafka, { log, metrics: new Metrics('test') });
    return new ReflexWorld(options, kafka, codec, producer, await ClusterView.connect(kafka, brokers));
  }

  /** As a gateway produces: `count` messages named `<run>-<n>`, over all partitions in turn; resolves when acked. */
  async send(run: string, count: number, more: Partial<ChatEvent> = {}): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const message_id = `${run}-${n}`;
        const event = sampleEvent({
          message_id,
          conversation_id: `c-${run}-${n}`,
          text: `About ${message_id}`,
          ...more,
        });
        const key = conversationKey(event.tenant_id, event.bot_id, event.conversation_id);
        const value = this.#codec.encodeEvent(event);
        await this.#producer.send({ topic: this.topics.events, partition: this.partitionOf(n), key, value });
        this.acked.add(message_id);
      }),
    );
  }

  /** Where {@link send} puts its n-th message. */
  partitionOf(n: number): number {
    return n % this.#options.partitions;
  }

  verified(): Promise<VerifyReport> {
    const sources = verifySources(this.#view, this.clickhouse, this.#options.names.TOPIC_PREFIX);
    return verify(sources, { clock: systemClock, waitMs: 60_000, pollMs: 100, readLog: true });
  }

  /** Nothing is in flight any more, nothing missing, every acked message there once, every rollup equal to a recount. */
  async expectWhole(): Promise<VerifyReport> {
    const report = await this.verified();
    if (!report.ok) throw new Error(`verify is not ok: ${JSON.stringify(report)}`);
    await expectExactlyOnce(this.clickhouse, this.acked);
    return report;
  }

  /** All that analysts see, as one value to compare. */
  async numbers(): Promise<unknown> {
    const tables = ['messages FINAL', 'bot_minute', 'bot_hour'];
    return Promise.all(
      tables.map((table) => this.clickhouse.query(`SELECT * FROM ${table} ORDER BY ALL SETTINGS max_threads = 1`)),
    );
  }

  /** Until the group has committed all that the topic holds. */
  async caughtUp(group: string, topic: string): Promise<void> {
    await eventually(
      async () => {
        const [ranges, committed] = [await this.#view.logRanges(topic), await this.#view.committed(group, topic)];
        const behind = ranges.find(({ partition, end }) => (committed.get(partition) ?? 0) < end);
        if (behind) throw new Error(`${group} is behind in ${topic}: ${JSON.stringify(behind)}`);
      },
      { timeoutMs: 60_000 },
    );
  }

  topicId = async (topic: string) => (await this.#view.describeTopics([topic]))[0]?.topic_id ?? null;

  /** `kafka-consumer-groups --reset-offsets --to-earliest`: the commit that it makes has no metadata. */
  async resetToEarliest(group: string, topic: string): Promise<void> {
    const ranges = await this.#view.logRanges(topic);
    await Promise.all(ranges.map(({ partition, start }) => this.commit(group, topic, partition, start, '')));
  }

  /** As a program without a membership commits: the broker takes it from an empty group. */
  async commit(group: string, topic: string, partition: number, offset: number, metadata: string): Promise<void> {
    const committer = await OffsetCommitter.connect({ kafka: this.#kafka, groupId: group });
    const session = { memberId: '', generationId: -1, assigned: [] };
    await committer.commit({ topic, partition, session: () => session, snapshot: () => ({ offset, metadata }) });
    await committer.close();
  }

  /** `kafka-consumer-groups --delete`. */
  async deleteGroups(): Promise<void> {
    // A group is empty once the broker has seen its last member leave.
    await eventually(() => KafkaAdmin.use(this.#kafka, (admin) => admin.deleteGroups(Object.values(this.groups))));
  }

  /** `kafka-topics --delete`; resolves when it is gone. */
  async deleteTopic(topic: string): Promise<void> {
    await KafkaAdmin.use(this.#kafka, (admin) => admin.deleteTopics([topic]));
    await eventually(async () => {
      if ((await this.topicId(topic)) !== null) throw new Error(`${topic} is still there`);
    });
  }

  /** `kafka-topics --create`, as Parley itself creates topics. */
  async makeTopics(): Promise<void> {
    const { names, partitions } = this.#options;
    await ensureTopics(this.#kafka, { prefix: names.TOPIC_PREFIX, partitions, replicationFactor: 1 });
  }

  async close(): Promise<void> {
    await this.#producer.close(1_000);
    await this.#view.close();
    await this.clickhouse.close();
  }
}
