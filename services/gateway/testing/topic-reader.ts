import { randomUUID } from 'node:crypto';
import type { ChatEvent } from '../../core/records.ts';
import { ChatCodec } from '../../platform/avro/codec.ts';
import { openRegistry } from '../../platform/avro/registry-access.ts';
import { createKafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { fetchLogRanges } from '../../platform/kafka/read/log-ranges.ts';
import { topicNames } from '../../platform/kafka/topics.ts';
import { createLogger } from '../../platform/logger.ts';

export interface ReadEvent {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly event: ChatEvent;
}

export interface TopicAddress {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  readonly prefix: string;
}

/** Everything that `chat.events` holds at this moment, decoded. */
export async function readEvents({ kafkaBrokers, registryUrl, prefix }: TopicAddress): Promise<ReadEvent[]> {
  const log = createLogger('test', 'silent');
  const kafka = createKafka({ brokers: kafkaBrokers.split(','), clientId: 'test-reader', log });
  const names = topicNames(prefix);
  const codec = await ChatCodec.connect({ registry: openRegistry(registryUrl), topicNames: names });
  const missing = new Map<number, number>();
  for (const { partition, start, end } of await fetchLogRanges(kafka, names.events)) {
    if (end > start) missing.set(partition, end);
  }
  const found: ReadEvent[] = [];
  if (missing.size === 0) return found;
  const consumer = kafka.consumer({ groupId: `test-${randomUUID()}` });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic: names.events, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            const offset = Number(message.offset);
            const decoded = await codec.decodeEvent(message.value);
            if (!decoded.ok) throw new Error(`${partition}/${offset} is ${decoded.reason}: ${decoded.detail}`);
            found.push({ partition, offset, key: String(message.key), event: decoded.value });
            if (offset + 1 >= (missing.get(partition) ?? 0)) missing.delete(partition);
            if (missing.size === 0) resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return found;
}
