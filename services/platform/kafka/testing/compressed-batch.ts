import { clientOf } from '../kafkajs/client.ts';
import { CODEC_NAMES } from '../kafkajs/codecs.ts';
import type { Kafka } from '../kafkajs/kafka.ts';

export interface PlacedRecord {
  readonly partition: number;
  readonly key?: Buffer | string | null;
  readonly value: Buffer | string;
}

/** Sends records as somebody else's producer does: one compressed batch a partition, acked by all replicas. */
export async function sendCompressed(
  kafka: Kafka,
  topic: string,
  codec: (typeof CODEC_NAMES)[number],
  records: readonly PlacedRecord[],
): Promise<void> {
  const producer = clientOf(kafka).producer();
  await producer.connect();
  try {
    const messages = records.map(({ partition, key = null, value }) => ({ partition, key, value }));
    await producer.send({ topic, compression: CODEC_NAMES.indexOf(codec), acks: -1, messages });
  } finally {
    await producer.disconnect();
  }
}
