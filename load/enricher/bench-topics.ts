import { randomBytes } from 'node:crypto';
import type { Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { KafkaAdmin } from '../../services/platform/kafka/testing/kafka-admin.ts';
import { ensureTopics, topicNames } from '../../services/platform/kafka/topics.ts';
import { PARTITIONS } from './messages.ts';

export interface BenchTopics {
  readonly prefix: string;
  readonly events: string;
  readonly enriched: string;
  readonly remove: () => Promise<void>;
}

/**
 * The four topics of one run under a prefix of its own. Kafka itself stamps events and outcomes when it appends them, so
 * that latency is measured alike for every program under test, whatever it writes into a record.
 */
export async function makeBenchTopics(kafka: Kafka, partitions = PARTITIONS): Promise<BenchTopics> {
  const prefix = `bench_${randomBytes(4).toString('hex')}.`;
  const names = topicNames(prefix);
  await ensureTopics(kafka, { prefix, partitions, enrichedPartitions: PARTITIONS, replicationFactor: 1 });
  const admin = await KafkaAdmin.connect(kafka);
  for (const topic of [names.events, names.enriched]) {
    await admin.replaceSettings(topic, { 'message.timestamp.type': 'LogAppendTime' });
  }
  return {
    prefix,
    events: names.events,
    enriched: names.enriched,
    remove: async () => {
      await admin.deleteTopics(Object.values(names));
      await admin.close();
    },
  };
}
