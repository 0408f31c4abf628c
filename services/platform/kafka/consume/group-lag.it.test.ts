import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { createLogger } from '../../logger.ts';
import { Metrics } from '../../metrics.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { BatchProducer } from '../produce/batch-producer.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import type { Claim } from './claim.ts';
import { GroupConsumer } from './group-consumer.ts';
import { exportLag } from './group-lag.ts';

const log = createLogger('test', 'silent');
const { TOPIC_PREFIX: prefix } = isolation('lag');
const topic = topicNames(prefix).events;
const groupId = `${prefix}lag`;
const metrics = new Metrics('test');
const claims = new Map<number, Claim>();
let kafka: Kafka;
let producer: BatchProducer;
let consumer: GroupConsumer;

beforeAll(async () => {
  kafka = createKafka({ brokers: stack().kafkaBrokers.split(','), clientId: 'lag', log });
  await ensureTopics(kafka, { prefix, partitions: 2, replicationFactor: 1 });
  producer = await BatchProducer.connect(kafka, { log, metrics: new Metrics('test') });
  consumer = await GroupConsumer.start({
    kafka,
    groupId,
    topics: [topic],
    log,
    metrics,
    assign: async (claim) => {
      claims.set(claim.partition, claim);
      return { startAt: claim.committed.offset ?? 0, take: () => {}, settle: async () => {}, release: () => {} };
    },
  });
  await eventually(() => expect(claims.size).toBe(2));
});

afterAll(async () => {
  await consumer?.close();
  await producer?.close();
});

/** The values of a gauge by partition. */
async function read(name: string, from = metrics): Promise<Record<string, number>> {
  const metric = await from.registry.getSingleMetric(name)?.get();
  const isOurs = ({ labels }: { labels: Partial<Record<string, string | number>> }) =>
    (labels['consumergroup'] ?? groupId) === groupId && labels['topic'] === topic;
  expect(metric?.values.every(isOurs)).toBe(true);
  return Object.fromEntries(metric?.values.map(({ labels, value }) => [String(labels['partition']), value]) ?? []);
}

const claim = (partition: number): Claim => {
  const found = claims.get(partition);
  if (!found) throw new Error(`partition ${partition} is not claimed`);
  return found;
};

it('a commit made right after another is sent, even when no third follows', async () => {
  await claim(0).commit(() => ({ offset: 0, metadata: '' }));
  await claim(0).commit(() => ({ offset: 0, metadata: '' }));
  await claim(1).commit(() => ({ offset: 0, metadata: '' }));
});

describe('kafka_consumergroup_lag', () => {
  it('is the log’s end less the committed offset, of a paused partition too', async () => {
    await eventually(async () => expect(await read('kafka_consumergroup_lag')).toEqual({ 0: 0, 1: 0 }));
    claim(0).pause();
    await Promise.all([0, 0, 0, 1].map((partition) => producer.send({ topic, partition, key: null, value: null })));
    expect(await read('kafka_consumergroup_lag')).toEqual({ 0: 3, 1: 1 });
    await claim(0).commit(() => ({ offset: 2, metadata: '' }));
    await claim(1).commit(() => ({ offset: 1, metadata: '' }));
    expect(await read('kafka_consumergroup_lag')).toEqual({ 0: 1, 1: 0 });
    expect(await read('kafka_consumergroup_current_offset')).toEqual({ 0: 2, 1: 1 });
    expect(await read('kafka_topic_partition_current_offset')).toEqual({ 0: 3, 1: 1 });
    expect(await read('kafka_topic_partitions')).toEqual({ undefined: 2 });
  });

  it('has no series while the end of the log cannot be read: a failed reading is not zero', async () => {
    const apart = new Metrics('apart');
    let answer: () => Promise<ReadonlyMap<number, number>> = async () => new Map([[0, 7]]);
    const held = { topic, partition: 0, committedOffset: 2 } as never;
    exportLag(apart, { groupId, claims: () => [held], logEnds: () => answer() });
    expect(await read('kafka_consumergroup_lag', apart)).toEqual({ 0: 5 });
    answer = () => Promise.reject(new Error('away'));
    expect(await read('kafka_consumergroup_lag', apart)).toEqual({});
    answer = () => new Promise(() => {});
    expect(await read('kafka_consumergroup_lag', apart)).toEqual({});
    expect(await read('kafka_consumergroup_current_offset', apart)).toEqual({ 0: 2 });
  });
});
