import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { testLog } from '../../testing/topic-log.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { KafkaAdmin } from '../testing/kafka-admin.ts';
import { fetchLogRanges } from './log-ranges.ts';

const { TOPIC_PREFIX } = isolation('log_ranges');
const names = Array.from({ length: 30 }, (_, n) => `${TOPIC_PREFIX}t${n}`);
let kafka: Kafka;
let admin: KafkaAdmin;

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'log-ranges-test', log: testLog() });
  admin = await KafkaAdmin.connect(kafka);
});

afterAll(async () => {
  await admin.deleteTopics(names);
  await admin.close();
});

describe('the log ranges of topics', () => {
  it('are told of all topics, though they were made just now and are asked for at once', async () => {
    const topics = names.map((topic) => ({ topic, partitions: 2 }));
    await admin.createTopics(topics, false);
    const all = await Promise.all(names.map((topic) => fetchLogRanges(kafka, topic)));
    const empty = [0, 1].map((partition) => ({ partition, start: 0, end: 0 }));
    expect(all).toEqual(names.map(() => empty));
  });

  it('are refused of a topic that there is not', async () => {
    await expect(fetchLogRanges(kafka, '')).rejects.toThrow('INVALID_TOPIC_EXCEPTION');
  });
});
