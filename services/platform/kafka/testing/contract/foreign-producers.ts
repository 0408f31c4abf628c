import kafkajs from 'kafkajs';
import { testLog } from '../../../testing/topic-log.ts';
import { clientOf } from '../../kafkajs/client.ts';
import { createKafka } from '../../kafkajs/kafka.ts';
import { sendInTransaction } from '../transaction.ts';

/** One batch unpacks to 20 MiB, more than any reader takes: of partition 0 the records at offsets 1 to 40. */
export async function sendUnreadable(brokers: string, topic: string): Promise<void> {
  const kafka = createKafka({ brokers: [brokers], clientId: 'foreign', log: testLog() });
  const producer = clientOf(kafka).producer();
  await producer.connect();
  const send = (partition: number, values: readonly (string | Buffer)[], compression = 0) =>
    producer.send({ topic, compression, messages: values.map((value) => ({ partition, value })) });
  await send(0, ['before']);
  await send(
    0,
    Array.from({ length: 40 }, () => Buffer.alloc(512 << 10)),
    kafkajs.CompressionTypes.GZIP,
  );
  await send(0, ['behind']);
  await send(1, ['beside']);
  await producer.disconnect();
}

/** Two transactions in partition 0: `kept` is committed, `void` aborted. */
export async function sendTransactions(brokers: string, topic: string): Promise<void> {
  const kafka = createKafka({ brokers: [brokers], clientId: 'foreign', log: testLog() });
  await sendInTransaction(kafka, topic, [{ partition: 0, value: 'kept' }], 'commit');
  await sendInTransaction(kafka, topic, [{ partition: 0, value: 'void' }], 'abort');
}
