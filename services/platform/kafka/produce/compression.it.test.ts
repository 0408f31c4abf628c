import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { TopicLog, testLog } from '../../testing/topic-log.ts';
import { CODEC_NAMES } from '../kafkajs/codecs.ts';
import { createKafka } from '../kafkajs/kafka.ts';
import { KafkaAdmin } from '../testing/kafka-admin.ts';
import { BatchProducer } from './batch-producer.ts';

describe('a producer that compresses', () => {
  it('is understood by the broker under each codec, whatever a topic’s other batches have', async () => {
    const topic = `${isolation('compressed').TOPIC_PREFIX}topic`;
    const kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'codecs', log: testLog() });
    await KafkaAdmin.use(kafka, (admin) => admin.createTopics([{ topic, partitions: 1 }]));
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
