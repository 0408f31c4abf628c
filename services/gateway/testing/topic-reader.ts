import type { ChatEvent } from '../../core/records.ts';
import { ChatCodec } from '../../platform/avro/codec.ts';
import { openRegistry } from '../../platform/avro/registry-access.ts';
import { createKafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { fetchLogRanges } from '../../platform/kafka/read/log-ranges.ts';
import { LogReader } from '../../platform/kafka/read/log-reader.ts';
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
  const found: ReadEvent[] = [];
  const reader = await LogReader.connect(kafka);
  try {
    for (const { partition, start, end } of await fetchLogRanges(kafka, names.events)) {
      for await (const records of reader.read(names.events, partition, start, end)) {
        for (const { offset, key, value } of records) {
          const decoded = await codec.decodeEvent(value);
          if (!decoded.ok) throw new Error(`${partition}/${offset} is ${decoded.reason}: ${decoded.detail}`);
          found.push({ partition, offset, key: String(key), event: decoded.value });
        }
      }
    }
  } finally {
    await reader.close();
  }
  return found;
}
