import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { eventually } from '../../../core/testing/eventually.ts';
import { sendWithJava } from '../../../local/testing/java-producer.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { testLog } from '../../testing/topic-log.ts';
import { clientOf } from '../kafkajs/client.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { type LogPage, LogReader } from '../read/log-reader.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import type { Claim } from './claim.ts';
import { GroupConsumer } from './group-consumer.ts';

/** What other clients than Parley's write into its topics. */

const PARTITIONS = 2;
let kafka: Kafka;
const closing: (() => Promise<void>)[] = [];

async function freshTopic(): Promise<string> {
  const { TOPIC_PREFIX } = isolation('foreign');
  await ensureTopics(kafka, { prefix: TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  return topicNames(TOPIC_PREFIX).events;
}

interface Read {
  readonly partition: number;
  /** In the order of the calls: a record's value, or what holds none up to the offset. */
  readonly seen: (string | { readonly emptyTo: number } | { readonly lostTo: number })[];
  readonly claim: Claim;
}

/** A group of one that notes what it is given. */
async function consume(topic: string) {
  const metrics = new Metrics('test');
  const partitions = new Map<number, Read>();
  const consumer = await GroupConsumer.start({
    kafka,
    groupId: `${topic}.reader`,
    topics: [topic],
    log: testLog(),
    metrics,
    assign: async (claim) => {
      const read: Read = { partition: claim.partition, seen: [], claim };
      partitions.set(claim.partition, read);
      return {
        startAt: claim.committed.offset ?? claim.logStart,
        take: (records) => read.seen.push(...records.map(({ value }) => String(value))),
        readTo: (next) => read.seen.push({ emptyTo: next }),
        cutTo: (next) => read.seen.push({ lostTo: next }),
        settle: async () => {},
        release: () => {},
      };
    },
  });
  closing.push(() => consumer.close());
  return { consumer, metrics, seen: (partition: number) => partitions.get(partition)?.seen ?? [], partitions };
}

async function send(topic: string, partition: number, values: readonly (string | Buffer)[], compression = 0) {
  const producer = clientOf(kafka).producer();
  await producer.connect();
  await producer.send({ topic, compression, messages: values.map((value) => ({ partition, value })) });
  await producer.disconnect();
}

/** What the reader of stretches makes of the first offsets of partition 0. */
async function pagesOf(topic: string, end: number): Promise<LogPage[]> {
  const reader = await LogReader.connect(kafka);
  closing.push(() => reader.close());
  const pages: LogPage[] = [];
  for await (const page of reader.pages(topic, 0, 0, end)) pages.push(page);
  return pages;
}

beforeAll(() => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'foreign', log: testLog() });
});

afterAll(async () => {
  await Promise.all(closing.map((close) => close()));
});

describe('a consumer beside other people’s producers', () => {
  it('reads what Kafka’s own Java producer compressed, and what the broker compresses for a topic', async () => {
    const topic = await freshTopic();
    const { seen } = await consume(topic);
    const expected = Array.from({ length: 40 }, (_, n) => `java-${n}-${'squeezed'.repeat(20)}`);
    await sendWithJava({ brokers: stack().kafkaBrokers, topic, codec: 'lz4', values: expected });
    const admin = clientOf(kafka).admin();
    await admin.connect();
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
      const configEntries = [{ name: 'compression.type', value: codec }];
      await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] });
      const values = Array.from({ length: 20 }, (_, n) => `broker-${codec}-${n}-${'squeezed'.repeat(20)}`);
      await send(topic, 1, values);
      expected.push(...values);
    }
    await admin.disconnect();
    await eventually(() => expect([...seen(0), ...seen(1)].sort()).toEqual(expected.sort()));
  }, 180_000);

  it('passes over a batch that it cannot read, names it, and goes on there and in the other partitions', async () => {
    const topic = await freshTopic();
    await send(topic, 0, ['before']);
    const bomb = Array.from({ length: 40 }, () => Buffer.alloc(512 << 10));
    await send(topic, 0, bomb, kafkajs.CompressionTypes.GZIP);
    await send(topic, 0, ['behind']);
    await send(topic, 1, ['beside']);
    const { seen, metrics, consumer } = await consume(topic);
    await eventually(() => {
      expect(seen(1)).toEqual(['beside']);
      expect(seen(0)).toEqual(['before', { lostTo: 41 }, 'behind']);
    });
    expect(await metrics.registry.getSingleMetricAsString('parley_unreadable_batches_total')).toMatch(/gzip.* 1$/m);
    await expect(consumer.check(AbortSignal.timeout(1_000))).resolves.toEqual({});
    // A reader of stretches says so as well.
    const pages = await pagesOf(topic, 42);
    expect(pages.flatMap(({ unreadable }) => unreadable)).toMatchObject([{ first: 1, next: 41, codec: 'gzip' }]);
    expect(pages.flatMap(({ records }) => records.map(({ offset }) => offset))).toEqual([0, 41]);
  });

  it('moves behind the markers and the aborted records of transactions, so that lag becomes zero', async () => {
    const topic = await freshTopic();
    const { seen, partitions, metrics } = await consume(topic);
    const producer = clientOf(kafka).producer({
      transactionalId: `${topic}.tx`,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    for (const [end, value] of [
      ['commit', 'kept'],
      ['abort', 'void'],
    ] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ partition: 0, value }] });
      await transaction[end]();
    }
    await producer.disconnect();
    // kept, its marker, void, its marker.
    await eventually(() => {
      expect(seen(0)[0]).toBe('kept');
      expect(seen(0).at(-1)).toEqual({ emptyTo: 4 });
      expect(seen(0).filter((each) => typeof each === 'string')).toEqual(['kept']);
    });
    await partitions.get(0)?.claim.commit(() => ({ offset: 4, metadata: '' }));
    await partitions.get(1)?.claim.commit(() => ({ offset: 0, metadata: '' }));
    const lag = await metrics.registry.getSingleMetric('kafka_consumergroup_lag')?.get();
    expect(lag?.values.map(({ value }) => value)).toEqual([0, 0]);
    const pages = await pagesOf(topic, 4);
    expect(pages.at(-1)?.next).toBe(4);
    expect(pages.flatMap(({ records }) => records.map(({ value }) => String(value)))).toEqual(['kept']);
  });
});
