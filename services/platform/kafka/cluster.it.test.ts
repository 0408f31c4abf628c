import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { type KafkaCluster, startKafkaCluster } from '../../local/testing/kafka-cluster.ts';
import { Metrics } from '../metrics.ts';
import { FETCH_API_KEY, KafkaProxy, PRODUCE_API_KEY } from '../testing/kafka-proxy.ts';
import { TopicLog, testLog } from '../testing/topic-log.ts';
import type { Claim } from './consume/claim.ts';
import { GroupConsumer } from './consume/group-consumer.ts';
import { clientOf } from './kafkajs/client.ts';
import { createKafka, type Kafka } from './kafkajs/kafka.ts';
import { openCluster } from './kafkajs/kafkajs-internals.ts';
import { requestMetadata } from './kafkajs/metadata-request.ts';
import { BatchProducer } from './produce/batch-producer.ts';
import { TailReader } from './read/tail-reader.ts';
import { KafkaAdmin } from './testing/kafka-admin.ts';
import { ensureTopics, topicNames } from './topics.ts';

const PARTITIONS = 6;
const TOPIC = 'replicated';

let cluster: KafkaCluster;
let proxies: readonly KafkaProxy[];
let kafka: Kafka;
let producer: BatchProducer;
const closing: (() => Promise<void>)[] = [];

/** The node that leads each partition; -1 where none does. */
async function leaders(topic = TOPIC): Promise<Map<number, number>> {
  const view = openCluster(kafka);
  await view.connect();
  try {
    const state = await requestMetadata(await view.brokerPool.findConnectedBroker(), [topic]);
    return new Map(state.topics[0]?.partitions.map(({ partition, leader }) => [partition, leader]));
  } finally {
    await view.disconnect();
  }
}

/** kafkajs' own wait asks once, and fails where the broker that it asks has not heard of the topic. */
const ledTopics = (topics: readonly string[]) =>
  KafkaAdmin.use(kafka, async (admin) => {
    for (const topic of topics) await eventually(() => admin.leaders(topic));
  });

beforeAll(async () => {
  cluster = await startKafkaCluster(3);
  kafka = createKafka({ brokers: [...cluster.brokers], clientId: 'cluster-test', log: testLog() });
  const admin = clientOf(kafka).admin();
  await admin.connect();
  await admin.createTopics({
    waitForLeaders: false,
    topics: [{ topic: TOPIC, numPartitions: PARTITIONS, replicationFactor: 3 }],
  });
  await admin.disconnect();
  await ledTopics([TOPIC]);
  proxies = await KafkaProxy.startAll(cluster.brokers);
  const proxied = createKafka({ brokers: proxies.map(({ address }) => address), clientId: 'proxied', log: testLog() });
  producer = await BatchProducer.connect(proxied, { log: testLog(), metrics: new Metrics('test'), lingerMs: 50 });
}, 120_000);

afterAll(async () => {
  for (const close of closing.reverse()) await close();
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
  }, 180_000);
});

const fetchesBy = () => {
  const counts = proxies.map(() => 0);
  for (const [index, proxy] of proxies.entries()) {
    proxy.rule = ({ apiKey }) => {
      if (apiKey === FETCH_API_KEY) counts[index] = (counts[index] ?? 0) + 1;
      return 'pass';
    };
  }
  return counts;
};

describe('a consumer that says in which rack it runs', () => {
  it('reads all partitions from the replicas there, and from their leaders while that broker is away', async () => {
    const brokers = proxies.map(({ address }) => address);
    const near = createKafka({ brokers, clientId: 'near', rack: 'rack-2', log: testLog() });
    const { values } = await member(TOPIC, 'near.group', near);
    const send = async (name: string) => {
      const sent = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, value: `${name} ${partition}` }));
      await Promise.all(
        sent.map(({ partition, value }) =>
          producer.send({ topic: TOPIC, partition, key: null, value: Buffer.from(value) }),
        ),
      );
      await eventually(() => expect(values).toEqual(expect.arrayContaining(sent.map(({ value }) => value))));
    };
    await send('first');
    // Each leader has named the follower once; from then on it is not asked.
    await eventually(async () => {
      const counts = fetchesBy();
      await send(`near ${values.length}`);
      expect([counts[0], counts[2]]).toEqual([0, 0]);
      expect(counts[1]).toBeGreaterThan(0);
    });
    await cluster.nodes[1]?.kill();
    const counts = fetchesBy();
    await send('far');
    expect((counts[0] ?? 0) + (counts[2] ?? 0)).toBeGreaterThan(0);
    await cluster.nodes[1]?.start();
    await cluster.nodes[1]?.ready();
  }, 120_000);
});

/** A member of a group that notes what it holds and what it was given. */
async function member(topic: string, groupId: string, client = kafka) {
  const claims = new Map<number, Claim>();
  const values: string[] = [];
  const consumer = await GroupConsumer.start({
    kafka: client,
    groupId,
    topics: [topic],
    log: testLog(),
    metrics: new Metrics('test'),
    assign: async (claim) => {
      claims.set(claim.partition, claim);
      return {
        startAt: claim.committed.offset ?? claim.logStart,
        take: (records) => values.push(...records.map(({ value }) => String(value))),
        settle: async () => {},
        release: () => claims.delete(claim.partition),
      };
    },
  });
  closing.push(() => consumer.close());
  return { consumer, claims, values };
}

describe('a partition without a leader', () => {
  // One replica each: partition 0 of broker 1, 1 of broker 2, 2 of broker 3, which is killed; another team's topic is on it alone.
  const names = topicNames('lonely.');
  const topic = names.events;
  const options = { prefix: 'lonely.', partitions: 3, replicationFactor: 1, log: testLog() };
  const send = (through: BatchProducer, partition: number, value: string) =>
    through.send({ topic, partition, key: null, value: Buffer.from(value) });
  const newProducer = async () => {
    const made = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('test') });
    closing.push(() => made.close(1_000));
    return made;
  };

  beforeAll(async () => {
    const admin = clientOf(kafka).admin();
    await admin.connect();
    const replicaAssignment = [1, 2, 3].map((node, partition) => ({ partition, replicas: [node] }));
    await admin.createTopics({
      waitForLeaders: false,
      topics: [
        ...Object.values(names).map((each) => ({ topic: each, replicaAssignment })),
        { topic: 'another-team', replicaAssignment: [{ partition: 0, replicas: [3] }] },
      ],
    });
    await admin.disconnect();
    await ledTopics([...Object.values(names), 'another-team']);
  });

  it('waits for its leader with its records, while producers, openings, joins, commits and starts go on beside it', async () => {
    const group = 'lonely.group';
    const tailed: number[] = [];
    const tail = new TailReader({
      kafka,
      topic,
      since: Date.now(),
      log: testLog(),
      take: (records, from) => {
        const at = Number(records.readBigInt64BE(0));
        tailed.push(at);
        return from + 1;
      },
    });
    closing.push(() => tail.close());
    const [before, first] = [await newProducer(), await member(topic, group)];
    await Promise.all([0, 1, 2].map((partition) => send(before, partition, `before ${partition}`)));
    await eventually(() => expect(first.values.sort()).toEqual(['before 0', 'before 1', 'before 2']));
    await cluster.nodes[2]?.kill();
    await eventually(async () => expect((await leaders(topic)).get(2)).toBe(-1), { timeoutMs: 60_000 });

    const waiting = { acked: false };
    const held = send(before, 2, 'held').then(() => {
      waiting.acked = true;
    });
    await Promise.all([0, 1].map((partition) => send(before, partition, `beside ${partition}`)));
    await eventually(() => expect(first.values).toEqual(expect.arrayContaining(['beside 0', 'beside 1'])));
    await Promise.all(
      [0, 1].map((partition) => first.claims.get(partition)?.commit(() => ({ offset: 2, metadata: '' }))),
    );

    // All that starts only now: topics, a producer, and a second member, which opens what it is given.
    expect((await ensureTopics(kafka, options)).counts.get(topic)).toBe(3);
    const after = await newProducer();
    await Promise.all([0, 1].map((partition) => send(after, partition, `after ${partition}`)));
    const second = await member(topic, group);
    const held01 = () => [...first.claims.keys(), ...second.claims.keys()].filter((partition) => partition < 2).sort();
    await eventually(() => {
      expect(second.claims.size + first.claims.size).toBeGreaterThan(1);
      expect(held01()).toEqual([0, 1]);
      expect([...first.values, ...second.values]).toEqual(expect.arrayContaining(['after 0', 'after 1']));
    });
    await Promise.all(
      [...first.claims.values(), ...second.claims.values()]
        .filter(({ partition }) => partition < 2)
        .map((claim) => claim.commit(() => ({ offset: 3, metadata: '' }))),
    );
    // Whoever holds it is not ready, and says why.
    const check = (each: GroupConsumer) => each.check(AbortSignal.timeout(1_000)).then(String, String);
    await eventually(async () =>
      expect((await Promise.all([check(first.consumer), check(second.consumer)])).join()).toContain(
        `${topic}/2 cannot go on: PARTITION_LEADERLESS`,
      ),
    );
    await eventually(() => expect(tailed.length).toBeGreaterThanOrEqual(6));
    expect(waiting.acked).toBe(false);

    await cluster.nodes[2]?.start();
    await cluster.nodes[2]?.ready();
    await held;
    await eventually(() => expect([...first.values, ...second.values]).toContain('held'));
    for (const { consumer } of [first, second]) {
      await eventually(() => expect(consumer.check(AbortSignal.timeout(1_000))).resolves.toEqual({}));
    }
  }, 240_000);
});
