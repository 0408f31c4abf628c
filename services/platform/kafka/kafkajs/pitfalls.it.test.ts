import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { FETCH_API_KEY, KafkaProxy, PRODUCE_API_KEY } from '../../testing/kafka-proxy.ts';
import { TopicLog, testLog } from '../../testing/topic-log.ts';
import { type Claim, ClaimLostError, type PartitionHandler } from '../consume/claim.ts';
import { GroupConsumer } from '../consume/group-consumer.ts';
import { OffsetCommitter } from '../consume/offset-committer.ts';
import { BatchProducer, ProduceTimeoutError } from '../produce/batch-producer.ts';
import { fetchLogRanges } from '../read/log-ranges.ts';
import { fetchTopicIds } from '../read/topic-ids.ts';
import type { FetchedRecord } from '../record.ts';
import { ensureTopics, topicNames, topicSettings } from '../topics.ts';
import { clientOf } from './client.ts';
import { createKafka, type Kafka } from './kafka.ts';

/** Regression tests for what kafkajs 2.2.4 does in its obvious use; each is named after the pitfall. */

const PARTITIONS = 4;
let kafka: Kafka;
let proxy: KafkaProxy;
const closing: (() => Promise<void>)[] = [];

const proxied = () => createKafka({ brokers: [proxy.address], clientId: 'proxied', log: testLog() });

async function freshTopic(): Promise<string> {
  const { TOPIC_PREFIX } = isolation('kafka');
  await ensureTopics(kafka, { prefix: TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  return topicNames(TOPIC_PREFIX).events;
}

async function producerOn(
  client: Kafka,
  options: { ttlMs?: number; maxBatchRecords?: number; lingerMs?: number } = {},
) {
  const producer = await BatchProducer.connect(client, { log: testLog(), metrics: new Metrics('test'), ...options });
  closing.push(() => producer.close(1_000));
  return producer;
}

async function follow(topic: string): Promise<TopicLog> {
  const log = await TopicLog.follow(kafka, topic);
  closing.push(() => log.close());
  return log;
}

interface Seen {
  readonly consumer: GroupConsumer;
  readonly claims: Map<number, Claim>;
  readonly records: (FetchedRecord & { partition: number })[];
  readonly released: number[];
}

/** A consumer that notes what it is given and commits nothing by itself. */
async function consume(
  client: Kafka,
  groupId: string,
  topic: string,
  {
    metrics = new Metrics('test'),
    onTake = () => {},
  }: { metrics?: Metrics; onTake?: (records: readonly FetchedRecord[]) => void } = {},
): Promise<Seen> {
  const seen = { claims: new Map<number, Claim>(), records: [] as Seen['records'], released: [] as number[] };
  const consumer = await GroupConsumer.start({
    kafka: client,
    groupId,
    topics: [topic],
    log: testLog(),
    metrics,
    settleMs: 50,
    assign: async (claim): Promise<PartitionHandler> => {
      seen.claims.set(claim.partition, claim);
      return {
        startAt: claim.committed.offset ?? claim.logStart,
        take: (records) => {
          onTake(records);
          seen.records.push(...records.map((record) => ({ ...record, partition: claim.partition })));
        },
        settle: async () => {},
        release: () => void seen.released.push(claim.partition),
      };
    },
  });
  closing.push(() => consumer.close());
  return { consumer, ...seen };
}

const record = (topic: string, partition: number, value: string | Buffer) => ({
  topic,
  partition,
  key: null,
  value: Buffer.from(value),
});
const values = (records: readonly FetchedRecord[]) => records.map(({ value }) => String(value));
const groupName = () => `test-${randomBytes(6).toString('hex')}`;

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'kafka-test', log: testLog() });
  proxy = await KafkaProxy.start(stack().kafkaBrokers);
});

afterAll(async () => {
  proxy.rule = () => 'pass';
  await Promise.all(closing.reverse().map((close) => close()));
  await proxy.stop();
});

describe('producing', () => {
  it('a lost produce response loses and doubles nothing, with many sends at once', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(proxied(), { maxBatchRecords: 10 });
    const lost = new Set([2, 5, 6]);
    let produces = 0;
    proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY && lost.has(++produces) ? 'cut' : 'pass');
    await Promise.all(Array.from({ length: 100 }, (_, n) => producer.send(record(topic, 0, `m${n}`))));
    proxy.rule = () => 'pass';
    expect(produces).toBeGreaterThanOrEqual(13);
    const log = await follow(topic);
    await eventually(() => expect(values(log.records)).toEqual(Array.from({ length: 100 }, (_, n) => `m${n}`)));
  });

  it('a batch whose answers are lost again and again is in the log once', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(proxied());
    await producer.send(record(topic, 1, 'first'));
    let lost = 0;
    proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY && ++lost <= 4 ? 'cut' : 'pass');
    await producer.send({ ...record(topic, 1, 'second'), resendValue: () => Buffer.from('second, resent') });
    proxy.rule = () => 'pass';
    expect(lost).toBeGreaterThan(4);
    const log = await follow(topic);
    await eventually(() => expect(values(log.records)).toEqual(['first', 'second']));
  });

  it('a partition whose unclear records were given up goes on under a new producer id', async () => {
    const topic = await freshTopic();
    const metrics = new Metrics('test');
    const producer = await BatchProducer.connect(proxied(), { log: testLog(), metrics, ttlMs: 3_000 });
    closing.push(() => producer.close(1_000));
    await producer.send(record(topic, 1, 'first'));
    // The broker takes the record, and this client never hears of it.
    proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY ? 'cut' : 'pass');
    await expect(producer.send(record(topic, 1, 'given up'))).rejects.toThrow(ProduceTimeoutError);
    proxy.rule = () => 'pass';
    await eventually(() => producer.send(record(topic, 1, 'next')));
    expect(await metrics.registry.getSingleMetricAsString('parley_producers_replaced_total')).toMatch(/ 1$/m);
    const log = await follow(topic);
    await eventually(() => expect(values(log.records)).toEqual(['first', 'given up', 'next']));
  });

  it('leaves no record behind that arrives in the very moment a batch ends', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka, { lingerMs: 0 });
    for (let n = 0; n < 60; n++) {
      await producer.send(record(topic, 0, `m${n}`));
      // So many turns of the microtask queue later: one of them meets the end of the lane's loop.
      for (let turn = 0; turn < n % 12; turn++) await null;
    }
    expect(producer.pendingBytes).toBe(0);
  });

  it('a record that is too large is refused alone, its neighbours go through', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka, { lingerMs: 30 });
    const sends = [
      producer.send(record(topic, 2, 'before')),
      producer.send(record(topic, 2, Buffer.alloc(1_200_000, 1))),
      producer.send(record(topic, 2, 'after')),
    ];
    const results = await Promise.allSettled(sends);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const log = await follow(topic);
    await eventually(() => expect(values(log.records).sort()).toEqual(['after', 'before']));
  });

  it('gives up at its time to live while Kafka is silent, and frees the bytes', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(proxied(), { ttlMs: 300 });
    proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY ? 'drop' : 'pass');
    await expect(producer.send(record(topic, 0, 'unheard'))).rejects.toThrow(ProduceTimeoutError);
    expect(producer.pendingBytes).toBe(0);
    proxy.rule = () => 'pass';
  });
});

describe('consuming', () => {
  it('a TypeError in a handler does not end the consumer', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka);
    let thrown = 0;
    const seen = await consume(kafka, groupName(), topic, {
      onTake: () => {
        if (thrown++ === 0) throw new TypeError('a mistake of ours');
      },
    });
    await producer.send(record(topic, 0, 'one'));
    await eventually(() => expect(values(seen.records)).toEqual(['one']));
    await producer.send(record(topic, 0, 'two'));
    await eventually(() => expect(values(seen.records)).toEqual(['one', 'two']));
    expect(thrown).toBeGreaterThanOrEqual(2);
  });

  it('records that come one by one are not fetched one by one', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka, { lingerMs: 0 });
    const seen = await consume(proxied(), groupName(), topic);
    await producer.send(record(topic, 0, 'first'));
    await eventually(() => expect(values(seen.records)).toEqual(['first']));
    let fetches = 0;
    proxy.rule = ({ apiKey }) => {
      if (apiKey === FETCH_API_KEY) fetches++;
      return 'pass';
    };
    const startedAtMs = performance.now();
    for (let n = 0; n < 300; n++) await producer.send(record(topic, 0, `m${n}`));
    const elapsedMs = performance.now() - startedAtMs;
    proxy.rule = () => 'pass';
    await eventually(() => expect(seen.records).toHaveLength(301));
    // Every 8 ms at most, and a timer may come a millisecond early.
    expect(fetches).toBeLessThanOrEqual(elapsedMs / 7 + 2);
    expect(fetches).toBeGreaterThan(0);
  });

  it('a rejoin does not rewind the partitions that stay', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka);
    const group = groupName();
    const first = await consume(kafka, group, topic);
    await Promise.all(Array.from({ length: 40 }, (_, n) => producer.send(record(topic, n % PARTITIONS, `m${n}`))));
    await eventually(() => expect(first.records).toHaveLength(40));
    const second = await consume(kafka, group, topic);
    await eventually(() => expect(second.claims.size).toBeGreaterThan(0));
    const kept = [0, 1, 2, 3].filter((partition) => !first.released.includes(partition));
    expect(kept.length).toBeGreaterThan(0);
    await Promise.all(kept.map((partition) => producer.send(record(topic, partition, `after-${partition}`))));
    await eventually(() =>
      expect(values(first.records.slice(40)).sort()).toEqual(kept.map((partition) => `after-${partition}`)),
    );
    // Nothing had been committed, so what moved begins anew with the other.
    await eventually(() => expect(second.records).toHaveLength(10 * (PARTITIONS - kept.length)));
  });

  it('a member that joins takes its share alone, and the others keep the rest', async () => {
    const topic = await freshTopic();
    const group = groupName();
    const members = [await consume(kafka, group, topic), await consume(kafka, group, topic)];
    const held = () => members.map(({ claims }) => [...claims.values()].filter(({ active }) => active));
    const shares = (sizes: readonly number[]) =>
      eventually(() =>
        expect(
          held()
            .map(({ length }) => length)
            .sort(),
        ).toEqual(sizes),
      );
    await shares([2, 2]);
    const before = held().map((claims) => new Set(claims.map(({ partition }) => partition)));
    members.push(await consume(kafka, group, topic));
    await shares([1, 1, 2]);
    const stayed = held().flatMap((claims, index) => claims.filter(({ partition }) => before[index]?.has(partition)));
    // Four partitions on three members: at most ⌈4/3⌉ = 2 move.
    expect(stayed.length).toBeGreaterThanOrEqual(2);
  });

  it('a commit under a generation that has passed is refused, and moves nothing', async () => {
    const topic = await freshTopic();
    const group = groupName();
    const producer = await producerOn(kafka);
    await Promise.all(Array.from({ length: 10 }, (_, n) => producer.send(record(topic, 0, `m${n}`))));
    const owner = await consume(kafka, group, topic);
    await eventually(() => expect(owner.claims.get(0)?.active).toBe(true));
    await owner.claims.get(0)?.commit(() => ({ offset: 9, metadata: 'nine' }));
    const zombie = await OffsetCommitter.connect({ kafka, groupId: group });
    closing.push(() => zombie.close());
    const session = { memberId: 'kafka-test-gone', generationId: 0, assigned: [] };
    await expect(
      zombie.commit({ topic, partition: 0, session: () => session, snapshot: () => ({ offset: 3, metadata: '' }) }),
    ).rejects.toThrow(ClaimLostError);
    expect(await zombie.fetch(topic, [0])).toEqual([{ topic, partition: 0, offset: 9, metadata: 'nine' }]);
  });

  it('a partition that opens while its consumer is going away ends nothing', async () => {
    const topic = await freshTopic();
    const seen = await consume(kafka, groupName(), topic);
    await eventually(() => expect(seen.claims.size).toBe(PARTITIONS));
    await seen.consumer.close();
    expect(seen.released.sort()).toEqual([0, 1, 2, 3]);
  });

  it('a paused partition holds back no other, and goes on where it was', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka);
    const seen = await consume(kafka, groupName(), topic);
    await eventually(() => expect(seen.claims.size).toBe(PARTITIONS));
    await producer.send(record(topic, 0, 'a0'));
    await eventually(() => expect(seen.records).toHaveLength(1));
    seen.claims.get(0)?.pause();
    await Promise.all([producer.send(record(topic, 0, 'a1')), producer.send(record(topic, 1, 'b0'))]);
    await eventually(() => expect(values(seen.records)).toEqual(['a0', 'b0']));
    seen.claims.get(0)?.resume();
    await eventually(() => expect(values(seen.records)).toEqual(['a0', 'b0', 'a1']));
  });

  it('an offset beyond the end of the log stops that partition, loudly, and no other', async () => {
    const topic = await freshTopic();
    const group = groupName();
    const admin = clientOf(kafka).admin();
    await admin.connect();
    await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 3, offset: '1000' }] });
    const metrics = new Metrics('test');
    const seen = await consume(kafka, group, topic, { metrics });
    const producer = await producerOn(kafka);
    await Promise.all([producer.send(record(topic, 3, 'stopped')), producer.send(record(topic, 2, 'goes on'))]);
    await eventually(async () => {
      const text = await metrics.registry.getSingleMetricAsString('parley_partition_stopped');
      expect(text).toMatch(/partition="3".* 1/);
      expect(values(seen.records)).toEqual(['goes on']);
    });
    const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    expect(offsets?.partitions.find(({ partition }) => partition === 3)?.offset).toBe('1000');
    await admin.disconnect();
  });

  it('comes back after every connection was cut and refused for a while', async () => {
    const topic = await freshTopic();
    const producer = await producerOn(kafka);
    const seen = await consume(proxied(), groupName(), topic);
    await eventually(() => expect(seen.claims.size).toBe(PARTITIONS));
    proxy.cut();
    await producer.send(record(topic, 0, 'while away'));
    proxy.open();
    await eventually(() => expect(values(seen.records)).toContain('while away'), { timeoutMs: 45_000 });
  });
});

describe('topics', () => {
  it('have the settings of the design, and keep the partitions that they were given', async () => {
    const { TOPIC_PREFIX: prefix } = isolation('topics');
    const options = { prefix, partitions: 3, replicationFactor: 1 };
    // Several services start at once.
    await Promise.all([ensureTopics(kafka, options), ensureTopics(kafka, options), ensureTopics(kafka, options)]);
    const names = topicNames(prefix);
    const admin = clientOf(kafka).admin();
    await admin.connect();
    for (const [name, settings] of Object.entries(topicSettings(names))) {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name }],
      });
      const actual = Object.fromEntries(
        resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]) ?? [],
      );
      expect(actual).toMatchObject(settings);
    }
    const empty = [0, 1, 2].map((partition) => ({ partition, start: 0, end: 0 }));
    await eventually(async () => expect(await fetchLogRanges(kafka, names.events)).toEqual(empty));
    await admin.createPartitions({ topicPartitions: [{ topic: names.dlq, count: 5 }] });
    await admin.disconnect();
    // A service that starts while the topics are grown takes them as they are.
    await eventually(async () => expect((await ensureTopics(kafka, options)).counts.get(names.dlq)).toBe(5));
  });

  it('are left to others where they are not to be created, and a compacted one ends the start', async () => {
    const { TOPIC_PREFIX: prefix } = isolation('given');
    // The brokers' own default of replicas.
    const options = { prefix, partitions: 1, replicationFactor: -1 };
    const missing = ensureTopics(kafka, { ...options, create: false });
    await expect(missing).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining('chat.dlq'),
    });
    await ensureTopics(kafka, options);
    const admin = clientOf(kafka).admin();
    await admin.connect();
    const { events: name } = topicNames(prefix);
    const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name, configEntries }];
    await admin.alterConfigs({ validateOnly: false, resources });
    await admin.disconnect();
    await eventually(() => expect(ensureTopics(kafka, options)).rejects.toMatchObject({ code: 'TOPIC_SETTINGS' }));
  });

  it('get a new id when deleted and made again', async () => {
    const topic = await freshTopic();
    const before = (await fetchTopicIds(kafka, [topic, 'no-such-topic'])).get(topic);
    expect(before).toMatch(/^[\w-]{22}$/);
    const admin = clientOf(kafka).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [topic] });
    await eventually(() => admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }));
    await admin.disconnect();
    // A broker may still tell the old one for a moment.
    await eventually(async () => {
      const after = (await fetchTopicIds(kafka, [topic])).get(topic);
      expect(after).toMatch(/^[\w-]{22}$/);
      expect(after).not.toBe(before);
    });
  });
});
