import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { type KafkaCluster, startKafkaCluster } from '../../../local/testing/kafka-cluster.ts';
import { Metrics } from '../../metrics.ts';
import { KafkaProxy, PRODUCE_API_KEY } from '../../testing/kafka-proxy.ts';
import { TopicLog, testLog } from '../../testing/topic-log.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { BatchProducer } from './batch-producer.ts';

const PARTITIONS = 6;
const TOPIC = 'replicated';

let cluster: KafkaCluster;
let proxies: readonly KafkaProxy[];
let kafka: Kafka;
let producer: BatchProducer;

/** The node that leads each partition. */
async function leaders(): Promise<Map<number, number>> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] });
    return new Map(topics[0]?.partitions.map(({ partitionId, leader }) => [partitionId, leader]));
  } finally {
    await admin.disconnect();
  }
}

beforeAll(async () => {
  cluster = await startKafkaCluster(3);
  kafka = createKafka({ brokers: [...cluster.brokers], clientId: 'cluster-test', log: testLog() });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic: TOPIC, numPartitions: PARTITIONS, replicationFactor: 3 }],
  });
  await admin.disconnect();
  proxies = await KafkaProxy.startAll(cluster.brokers);
  const proxied = createKafka({ brokers: proxies.map(({ address }) => address), clientId: 'proxied', log: testLog() });
  producer = await BatchProducer.connect(proxied, { log: testLog(), metrics: new Metrics('test'), lingerMs: 50 });
}, 120_000);

afterAll(async () => {
  await producer.close(1_000);
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await cluster.stop();
});

describe('a cluster of three brokers', () => {
  it('has every record that was acked, when the leader of some partitions is killed in the middle of a batch', async () => {
    const batch = (name: string) =>
      Promise.all(
        Array.from({ length: PARTITIONS * 5 }, (_, n) => {
          const partition = n % PARTITIONS;
          return producer.send({ topic: TOPIC, partition, key: null, value: Buffer.from(`${name} ${n}`) });
        }),
      );
    await batch('all there');
    const led = await leaders();
    expect(new Set(led.values()).size).toBe(3);
    const at = (led.get(0) ?? 0) - 1;
    const [victim, itsLink] = [cluster.nodes[at], proxies[at]];
    // The batch does not reach it, while it keeps up with the others: frozen, it would hold up their acks as well.
    itsLink?.silence();
    let answers = 0;
    for (const proxy of proxies) {
      proxy.rule = ({ apiKey }) => {
        if (apiKey === PRODUCE_API_KEY) answers++;
        return 'pass';
      };
    }
    const sent = batch('one killed');
    // The others have taken their part. Now the partitions that the third one led go to them.
    await eventually(() => expect(answers).toBe(2));
    await victim?.kill();
    itsLink?.open();
    await sent;
    await victim?.start();
    await victim?.ready();
    await batch('all back');
    const log = await TopicLog.follow(kafka, TOPIC);
    const expected = ['all there', 'one killed', 'all back'].flatMap((name) =>
      Array.from({ length: PARTITIONS * 5 }, (_, n) => `${name} ${n}`),
    );
    await eventually(() => {
      const found = new Set(log.records.map(({ value }) => String(value)));
      expect(expected.filter((value) => !found.has(value))).toEqual([]);
    }).finally(() => log.close());
  }, 90_000);
});
