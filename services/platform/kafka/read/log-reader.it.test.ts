import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { testLog } from '../../testing/topic-log.ts';
import { clientOf } from '../kafkajs/client.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { KafkaAdmin } from '../testing/kafka-admin.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import { LogReader } from './log-reader.ts';

const names = isolation('log_reader');
const { dlq: topic } = topicNames(names.TOPIC_PREFIX);
const RECORDS = 900;
let kafka: Kafka;
let reader: LogReader;

/** Values by offset. */
async function read(start: number, end: number): Promise<[number, string][]> {
  const found: [number, string][] = [];
  for await (const page of reader.read(topic, 1, start, end)) {
    for (const { offset, value } of page) found.push([offset, value?.toString().slice(0, 8) ?? '']);
  }
  return found;
}

const expected = (start: number, end: number) =>
  Array.from({ length: end - start }, (_, index) => [start + index, `v${start + index}`]);

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'log-reader-test', log: testLog() });
  await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions: 2, replicationFactor: 1 });
  reader = await LogReader.connect(kafka);
  const producer = clientOf(kafka).producer();
  await producer.connect();
  for (let from = 0; from < RECORDS; from += 300) {
    const messages = Array.from({ length: 300 }, (_, index) => ({ partition: 1, value: `v${from + index}` }));
    await producer.send({ topic, messages });
  }
  // Larger than what one fetch asks for: it has to come all the same.
  await producer.send({ topic, messages: [{ partition: 1, value: Buffer.alloc(6 << 20, 'x') }] });
  await producer.disconnect();
});

afterAll(() => reader.close());

describe('LogReader', () => {
  it('reads exactly the stretch that is asked for, from the middle of a batch to the middle of another', async () => {
    expect(await read(0, RECORDS)).toEqual(expected(0, RECORDS));
    expect(await read(123, 456)).toEqual(expected(123, 456));
    expect(await read(299, 300)).toEqual(expected(299, 300));
    expect(await read(300, 300)).toEqual([]);
    expect(await read(RECORDS, RECORDS + 1)).toEqual([[RECORDS, 'xxxxxxxx']]);
  });

  it('leaves no group on the broker', async () => {
    const groups = await KafkaAdmin.use(kafka, (admin) => admin.groups());
    expect(groups.filter((group) => group.startsWith(names.TOPIC_PREFIX))).toEqual([]);
  });

  it('passes over what retention has removed', async () => {
    await KafkaAdmin.use(kafka, (admin) => admin.cutLog(topic, 1, 350));
    expect(await read(100, 400)).toEqual(expected(350, 400));
    expect(await read(100, 200)).toEqual([]);
  });

  it('says which partition cannot be read', async () => {
    const missing = reader.read(topic, 7, 0, 1).next();
    await expect(missing).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', message: expect.stringContaining('7') });
  });
});
