import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { TopicLog, testLog } from '../../testing/topic-log.ts';
import { CODEC_NAMES } from '../kafkajs/codecs.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { KafkaAdmin } from '../testing/kafka-admin.ts';
import { BatchProducer } from './batch-producer.ts';

const PARTITIONS = 3;
const { TOPIC_PREFIX } = isolation('answers');
const topicOf = (name: string) => `${TOPIC_PREFIX}${name}`;
const GOOD = topicOf('good');
/** Any time of producing is too old by the time it arrives: INVALID_TIMESTAMP, until the topic's bounds are mended. */
const TOO_OLD = topicOf('too-old');
/** A compacted topic takes no record without a key: INVALID_RECORD. */
const COMPACTED = topicOf('compacted');
/** MESSAGE_TOO_LARGE for a batch of more than a kibibyte. */
const SMALL = topicOf('small');

const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [GOOD]: {},
  [TOO_OLD]: { 'message.timestamp.before.max.ms': '0' },
  [COMPACTED]: { 'cleanup.policy': 'compact' },
  [SMALL]: { 'max.message.bytes': '1024' },
};

let kafka: Kafka;
let admin: KafkaAdmin;
let producer: BatchProducer;

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'answers', log: testLog() });
  admin = await KafkaAdmin.connect(kafka);
  await admin.createTopics(
    Object.entries(SETTINGS).map(([topic, settings]) => ({ topic, partitions: PARTITIONS, settings })),
  );
  producer = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('answers'), lingerMs: 30 });
});

afterAll(async () => {
  await producer.close(1_000);
  await admin.close();
});

const send = (topic: string, n: number, value = Buffer.from(`record ${n}`), key: string | null = null) =>
  producer.send({ topic, partition: n % PARTITIONS, key, value });
const many = (topic: string, count: number) => Array.from({ length: count }, (_, n) => send(topic, n));

/** Records in the log of a topic that nothing was removed from. */
async function appended(topic: string): Promise<number> {
  return [...(await admin.logEnds(topic)).values()].reduce((sum, end) => sum + end, 0);
}

const codes = (results: readonly PromiseSettledResult<void>[]) =>
  results.map((result) => (result.status === 'fulfilled' ? 'acked' : result.reason.code));

describe('a send over several topics', () => {
  it('acks what Kafka took at once and once, whatever it answers for the other topics of the same request', async () => {
    const waiting = Promise.all(many(TOO_OLD, 30));
    waiting.catch(() => undefined);
    const refused = many(COMPACTED, 3);
    await Promise.all(many(GOOD, 300));
    expect(await appended(GOOD)).toBe(300);
    expect(codes(await Promise.allSettled(refused))).toEqual(Array(3).fill('INVALID_RECORD'));
    // Still refused for now, and sent again and again meanwhile: nobody else hears of it.
    await Promise.all(many(GOOD, 300));
    expect(await appended(GOOD)).toBe(600);
    expect(await appended(TOO_OLD)).toBe(0);
    await admin.replaceSettings(TOO_OLD, {});
    await waiting;
    expect(await appended(TOO_OLD)).toBe(30);
    expect(await appended(COMPACTED)).toBe(0);
  });

  it('refuses the one record without a key among many of a compacted topic, and acks the others', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 90 }, (_, n) => send(COMPACTED, 0, Buffer.from(`record ${n}`), n === 41 ? null : 'key')),
    );
    expect(
      codes(results)
        .map((code, n) => (code === 'acked' ? undefined : [n, code]))
        .filter(Boolean),
    ).toEqual([[41, 'INVALID_RECORD']]);
    expect(await appended(COMPACTED)).toBe(89);
  });

  it('cuts batches to what a topic takes, and refuses the record alone that is too large for it', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 60 }, (_, n) => send(SMALL, 0, Buffer.alloc(n === 17 ? 2_000 : 100, 1))),
    );
    expect(
      codes(results)
        .map((code, n) => (code === 'acked' ? undefined : [n, code]))
        .filter(Boolean),
    ).toEqual([[17, 'MESSAGE_TOO_LARGE']]);
    expect(await appended(SMALL)).toBe(59);
  });
});

describe('partitions that are newer than the producer', () => {
  it('are produced to without a restart, and a partition that does not exist waits for its record', async () => {
    const sent = send(GOOD, 0).then(() =>
      producer.send({ topic: GOOD, partition: PARTITIONS, key: null, value: Buffer.from('new') }),
    );
    let turns = 0;
    const heartbeat = setInterval(() => turns++, 10);
    // Timers fire while it waits: no loop without a pause.
    await eventually(() => expect(turns).toBeGreaterThan(20)).finally(() => clearInterval(heartbeat));
    await admin.grow(GOOD, PARTITIONS + 1);
    await sent;
  });
});

describe('a producer that compresses', () => {
  it('is understood by the broker under each codec, whatever a topic’s other batches have', async () => {
    const topic = topicOf('compressed');
    await admin.createTopics([{ topic, partitions: 1 }]);
    const expected: string[] = [];
    for (const compression of CODEC_NAMES) {
      const client = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'codecs', compression, log: testLog() });
      const through = await BatchProducer.connect(client, { log: testLog(), metrics: new Metrics('codecs') });
      const values = Array.from({ length: 50 }, (_, n) => `${compression} ${n} ${'squeezed'.repeat(20)}`);
      expected.push(...values);
      // The broker unpacks each batch to check it.
      await Promise.all(
        values.map((value) => through.send({ topic, partition: 0, key: null, value: Buffer.from(value) })),
      );
      await through.close();
    }
    const log = await TopicLog.follow(kafka, topic);
    await eventually(() => expect(log.records.map(({ value }) => String(value))).toEqual(expected)).finally(() =>
      log.close(),
    );
  });
});
