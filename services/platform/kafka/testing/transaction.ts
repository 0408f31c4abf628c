import { clientOf } from '../kafkajs/client.ts';
import type { Kafka } from '../kafkajs/kafka.ts';

export interface TransactionalRecord {
  readonly partition: number;
  readonly key?: Buffer | string | null;
  readonly value: Buffer | string;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
}

/** Sends records within one transaction, whose end puts a marker behind them in each of their partitions. */
export async function sendInTransaction(
  kafka: Kafka,
  topic: string,
  records: readonly TransactionalRecord[],
  end: 'commit' | 'abort',
): Promise<void> {
  const producer = clientOf(kafka).producer({
    transactionalId: `${topic}.tx`,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  try {
    const transaction = await producer.transaction();
    const messages = records.map(({ partition, key = null, value, headers = {} }) => ({
      partition,
      key,
      value,
      headers: { ...headers },
    }));
    await transaction.send({ topic, messages });
    await transaction[end]();
  } finally {
    await producer.disconnect();
  }
}
