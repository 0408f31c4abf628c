import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { FETCH_API_KEY, KafkaProxy, PRODUCE_API_KEY } from '../../testing/kafka-proxy.ts';
import { TopicLog, testLog } from '../../testing/topic-log.ts';
import { BatchProducer, type BatchProducerOptions, ProduceTimeoutError } from '../produce/batch-producer.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import { createKafka, type Kafka } from './kafka.ts';

/**
 * What our own requests over kafkajs's connections do beyond the contract (`contract.it.test.ts`), which has the behaviour
 * that any client owes.
 */
let kafka: Kafka;
let proxy: KafkaProxy;
let topic: string;
const closing: (() => Promise<void>)[] = [];

const record = (value: string) => ({ topic, partition: 1, key: null, value: Buffer.from(value) });

async function producerOn(client: Kafka, options: Partial<BatchProducerOptions>) {
  const producer = await BatchProducer.connect(client, { log: testLog(), metrics: new Metrics('test'), ...options });
  closing.push(() => producer.close(1_000));
  return producer;
}

async function follow(client: Kafka) {
  const log = await TopicLog.follow(client, topic);
  closing.push(() => log.close());
  return () => log.records.map(({ value }) => String(value));
}

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'kafka-test', log: testLog() });
  proxy = await KafkaProxy.start(stack().kafkaBrokers);
});

beforeEach(async () => {
  const { TOPIC_PREFIX: prefix } = isolation('kafka');
  await ensureTopics(kafka, { prefix, partitions: 2, replicationFactor: 1 });
  topic = topicNames(prefix).events;
});

afterAll(async () => {
  proxy.rule = () => 'pass';
  await Promise.all(closing.reverse().map((close) => close()));
  await proxy.stop();
});

const proxied = () => createKafka({ brokers: [proxy.address], clientId: 'proxied', log: testLog() });

describe('requests of our own over kafkajs', () => {
  it('go on under a new producer id where the unclear records of a partition were given up', async () => {
    const metrics = new Metrics('test');
    const producer = await producerOn(proxied(), { metrics, ttlMs: 3_000 });
    await producer.send(record('first'));
    // The broker takes the record, and this client never hears of it.
    proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY ? 'cut' : 'pass');
    await expect(producer.send(record('given up'))).rejects.toThrow(ProduceTimeoutError);
    proxy.rule = () => 'pass';
    await eventually(() => producer.send(record('next')));
    expect(await metrics.registry.getSingleMetricAsString('parley_producers_replaced_total')).toMatch(/ 1$/m);
    const values = await follow(kafka);
    await eventually(() => expect(values()).toEqual(['first', 'given up', 'next']));
  });

  it('do not fetch records one by one that come one by one', async () => {
    const producer = await producerOn(kafka, { lingerMs: 0 });
    const values = await follow(proxied());
    await producer.send(record('first'));
    await eventually(() => expect(values()).toEqual(['first']));
    let fetches = 0;
    proxy.rule = ({ apiKey }) => {
      if (apiKey === FETCH_API_KEY) fetches++;
      return 'pass';
    };
    const startedAtMs = performance.now();
    for (let n = 0; n < 300; n++) await producer.send(record(`m${n}`));
    const elapsedMs = performance.now() - startedAtMs;
    proxy.rule = () => 'pass';
    await eventually(() => expect(values()).toHaveLength(301));
    // Every 8 ms at most, and a timer may come a millisecond early.
    expect(fetches).toBeLessThanOrEqual(elapsedMs / 7 + 2);
    expect(fetches).toBeGreaterThan(0);
  });
});
