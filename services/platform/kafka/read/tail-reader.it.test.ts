import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Producer } from 'kafkajs';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { KafkaProxy } from '../../testing/kafka-proxy.ts';
import { testLog } from '../../testing/topic-log.ts';
import { clientOf } from '../kafkajs/client.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import { scanRecords } from './record-scan.ts';
import { TailReader } from './tail-reader.ts';

const { TOPIC_PREFIX } = isolation('tail_reader');
const { enriched: topic } = topicNames(TOPIC_PREFIX);
const PARTITIONS = 3;

let kafka: Kafka;
let producer: Producer;
let proxy: KafkaProxy;
let reader: TailReader | undefined;
let written = 0;

/** Writes that many records, spread over the partitions; their values count up over the whole file. */
async function write(count: number): Promise<string[]> {
  const values = Array.from({ length: count }, () => `v${written++}`);
  const messages = values.map((value, i) => ({ partition: i % PARTITIONS, value, headers: { tag: value } }));
  await producer.send({ topic, messages });
  return values;
}

/** The values that a reader from `since` on has seen. */
function follow(since: number, through = kafka): string[] {
  const seen: string[] = [];
  reader = new TailReader({
    kafka: through,
    topic,
    since,
    log: testLog(),
    take: (records, from) => scanRecords(records, from, 'tag', ({ value }) => seen.push(String(value))).next,
  });
  return seen;
}

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'tail-reader-test', log: testLog() });
  await ensureTopics(kafka, { prefix: TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  producer = clientOf(kafka).producer();
  await producer.connect();
  proxy = await KafkaProxy.start(stack().kafkaBrokers);
});

afterEach(async () => {
  proxy.open();
  await reader?.close();
});

afterAll(async () => {
  await producer.disconnect();
  await proxy.stop();
});

describe('TailReader', () => {
  it('reads from a time on, then whatever comes, each record once, and leaves no group behind', async () => {
    await write(30);
    const since = Date.now() + 1;
    await eventually(() => expect(Date.now()).toBeGreaterThan(since));
    const before = await write(30);
    const seen = follow(since);
    await eventually(() => expect(seen).toHaveLength(30));
    const after = [...(await write(1)), ...(await write(200))];
    await eventually(() => expect(seen).toHaveLength(231));
    expect([...seen].sort()).toEqual([...before, ...after].sort());
    const admin = clientOf(kafka).admin();
    await admin.connect();
    expect((await admin.listGroups()).groups.filter(({ groupId }) => groupId.includes(TOPIC_PREFIX))).toEqual([]);
    await admin.disconnect();
  });

  it('goes on where it was after cut connections, without a gap or a repeat', async () => {
    const behind = createKafka({ brokers: [proxy.address], clientId: 'tail-reader-cut', log: testLog() });
    const seen = follow(Date.now(), behind);
    const values = [...(await write(60))];
    await eventually(() => expect(seen).toHaveLength(60));
    proxy.cut();
    values.push(...(await write(60)));
    proxy.open();
    await eventually(() => expect(seen).toHaveLength(120));
    proxy.cutAll();
    values.push(...(await write(60)));
    await eventually(() => expect(seen).toHaveLength(180));
    expect([...seen].sort()).toEqual([...values].sort());
  });

  it('goes on with what is left where a log was cut above its place', async () => {
    const behind = createKafka({ brokers: [proxy.address], clientId: 'tail-reader-lost', log: testLog() });
    const seen = follow(Date.now(), behind);
    await write(9);
    await eventually(() => expect(seen).toHaveLength(9));
    proxy.cut();
    await write(30);
    const admin = clientOf(kafka).admin();
    await admin.connect();
    const [range] = (await admin.fetchTopicOffsets(topic)).filter(({ partition }) => partition === 1);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: String(range?.high) }] });
    await admin.disconnect();
    proxy.open();
    // The other two have lost nothing.
    await eventually(() => expect(seen).toHaveLength(29));
    const next = await write(30);
    await eventually(() => expect(new Set(seen).isSupersetOf(new Set(next))).toBe(true));
    expect(seen).toHaveLength(59);
  });

  it('closes also while Kafka is away', async () => {
    const away = createKafka({ brokers: [proxy.address], clientId: 'tail-reader-away', log: testLog() });
    proxy.cut();
    const seen = follow(0, away);
    await reader?.close();
    expect(seen).toEqual([]);
  });
});
