import type { TopicId } from '../../core/brands.ts';
import type { ChatOutcome } from '../../core/records.ts';
import { isolation, stack } from '../../local/testing/stack.ts';
import { type ClickHouse, createClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { migrate } from '../../platform/clickhouse/migrations.ts';
import { OffsetCommitter } from '../../platform/kafka/consume/offset-committer.ts';
import { createKafka, type Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../platform/kafka/produce/batch-producer.ts';
import { fetchTopicIds } from '../../platform/kafka/read/topic-ids.ts';
import { KafkaAdmin } from '../../platform/kafka/testing/kafka-admin.ts';
import { ensureTopics, groupNames, type TopicNames, topicNames } from '../../platform/kafka/topics.ts';
import { Metrics } from '../../platform/metrics.ts';
import { outcomeHeaders } from '../../platform/record-headers.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { runCli } from '../program.ts';

interface Message {
  readonly partition: number;
  readonly value: string;
  readonly headers?: Record<string, string>;
}

/** The present hour: receipts of another month have outlived their TTL. */
const HOUR = `${new Date().toISOString().slice(0, 13).replace('T', ' ')}:00:00`;

/**
 * What a pipeline leaves in a real broker and the real engine, laid out by hand: two partitions whose records some hand
 * has "taken". `verify` reads no bytes, so the records are opaque.
 */
export class VerifyWorld {
  readonly names: { readonly TOPIC_PREFIX: string; readonly CLICKHOUSE_DATABASE: string };
  readonly topics: TopicNames;
  readonly groups: ReturnType<typeof groupNames>;
  readonly kafka: Kafka;
  readonly clickhouse: ClickHouse;
  readonly eventsId: TopicId;
  readonly enrichedId: TopicId;

  private constructor(names: VerifyWorld['names'], kafka: Kafka, clickhouse: ClickHouse, ids: Map<string, TopicId>) {
    this.names = names;
    this.topics = topicNames(names.TOPIC_PREFIX);
    this.groups = groupNames(names.TOPIC_PREFIX);
    this.kafka = kafka;
    this.clickhouse = clickhouse;
    this.eventsId = ids.get(this.topics.events) as TopicId;
    this.enrichedId = ids.get(this.topics.enriched) as TopicId;
  }

  static async create(name: string): Promise<VerifyWorld> {
    const names = isolation(name);
    const log = testLog();
    const kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'verify-test', log });
    await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions: 2, replicationFactor: 1 });
    const clickhouse = createClickHouse({ url: stack().clickhouseUrl, database: names.CLICKHOUSE_DATABASE, log });
    await migrate(clickhouse, { log });
    const { events, enriched } = topicNames(names.TOPIC_PREFIX);
    return new VerifyWorld(names, kafka, clickhouse, await fetchTopicIds(kafka, [events, enriched]));
  }

  readonly parley = (...args: string[]) => this.parleyWith({}, ...args);

  async parleyWith(env: Record<string, string>, ...args: string[]) {
    const { kafkaBrokers, clickhouseUrl } = stack();
    const addresses = { KAFKA_BROKERS: kafkaBrokers, CLICKHOUSE_URL: clickhouseUrl };
    let [out, err] = ['', ''];
    const code = await runCli(
      args,
      { env: { ...addresses, ...this.names, ...env }, signal: new AbortController().signal },
      {
        out: (text) => {
          out += text;
        },
        err: (text) => {
          err += text;
        },
      },
    );
    return { code, out, err };
  }

  readonly verifyJson = async (...args: string[]): Promise<VerifyReport & { code: number }> => {
    const { code, out, err } = await this.parley('verify', '--json', ...args);
    if (!out.startsWith('{"ok"')) throw new Error(`${out}${err}`);
    return { ...(JSON.parse(out) as VerifyReport), code };
  };

  readonly produce = (topic: string, partition: number, count: number): Promise<void> =>
    this.#send(
      topic,
      Array.from({ length: count }, (_, index) => ({ partition, value: `${index}` })),
    );

  /** The outcomes of offsets `[from, to)`, under the headers that the enricher gives them. */
  produceOutcomes(partition: number, from: number, to: number): Promise<void> {
    const outcomes = Array.from({ length: to - from }, (_, index) => {
      const source = { topic_id: this.eventsId, topic: this.topics.events, partition, offset: from + index };
      const outcome = { source, origin: source, outcome: 'enriched', revision: 0, message_id: `m${from + index}` };
      return { partition, value: 'opaque', headers: outcomeHeaders(outcome as unknown as ChatOutcome) };
    });
    return this.#send(this.topics.enriched, outcomes);
  }

  /** As a member-less consumer. */
  async commit(groupId: string, topic: string, offsets: readonly number[], metadata = ''): Promise<void> {
    const committer = await OffsetCommitter.connect({ kafka: this.kafka, groupId });
    const session = { memberId: '', generationId: -1, assigned: [] };
    const commits = offsets.map((offset, partition) =>
      committer.commit({ topic, partition, session: () => session, snapshot: () => ({ offset, metadata }) }),
    );
    await Promise.all(commits).finally(() => committer.close());
  }

  /** The receipts and facts of offsets `[from, to)`, through the ingest table, as one block of the sink's. */
  take(partition: number, from: number, to: number, { outcome = 'enriched', token = '' } = {}): Promise<void> {
    const counted = outcome === 'duplicate' ? 0 : 1;
    return this.clickhouse.command(`
      INSERT INTO ingest (to_receipts, to_messages, sign, topic_id, topic, partition, offset, last_offset, receipt_outcome,
        message_id, tenant_id, bot_id, conversation_id, sent_at, received_at, enriched_at, outcome, sentiment_label,
        sentiment_e4, origin_topic_id, origin_partition, origin_offset, log_topic_id, log_partition, log_offset,
        block_from, block_to)
      SELECT 1, ${counted}, ${counted}, '${this.eventsId}', '${this.topics.events}', ${partition},
        ${from} + number AS at, at, '${outcome}', concat('m${partition}-', toString(at)), 't1', 'b1', 'c${partition}',
        toDateTime64('${HOUR}', 3, 'UTC') + at AS sent, sent, sent + INTERVAL 200 MILLISECOND, '${outcome}', 'positive',
        5000, '${this.eventsId}', ${partition}, at, '${this.enrichedId}', ${partition}, at, ${from}, ${to}
      FROM numbers(${to - from})
      SETTINGS insert_deduplication_token = '${partition}-${from}-${to}-${outcome}${token}'`);
  }

  /** What retention does, at once. */
  async cutLog(topic: string, partition: number, offset: number): Promise<void> {
    await KafkaAdmin.use(this.kafka, (admin) => admin.cutLog(topic, partition, offset));
  }

  tellGap(partition: number, first: number, last: number): Promise<void> {
    return this.clickhouse.command(`
      INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, enriched_at)
      VALUES ('${this.eventsId}', '${this.topics.events}', ${partition}, ${first}, ${last}, 'gap', '${HOUR}')`);
  }

  async close(): Promise<void> {
    await this.clickhouse.command(`DROP DATABASE IF EXISTS ${this.clickhouse.database}`);
    await this.clickhouse.close();
  }

  async #send(topic: string, messages: Message[]): Promise<void> {
    const producer = await BatchProducer.connect(this.kafka, { log: testLog(), metrics: new Metrics('test') });
    const sent = messages.map(({ value, ...rest }) =>
      producer.send({ topic, key: null, value: Buffer.from(value), ...rest }),
    );
    await Promise.all(sent).finally(() => producer.close());
  }
}
