import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { errorTypeOf } from './kafkajs/error-type.ts';
import type { Kafka } from './kafkajs/kafka.ts';

export interface TopicNames {
  readonly events: string;
  readonly enriched: string;
  readonly dlq: string;
  readonly replay: string;
}

export const topicNames = (prefix = ''): TopicNames => ({
  events: `${prefix}chat.events`,
  enriched: `${prefix}chat.enriched`,
  dlq: `${prefix}chat.dlq`,
  replay: `${prefix}chat.replay`,
});

export const groupNames = (prefix = '') => ({
  enricher: `${prefix}parley.enricher`,
  sink: `${prefix}parley.sink`,
});

const DAY_MS = 86_400_000;
/** Room for what came compressed: a record of 5 MiB that was compressed to fit must still be dead-lettered. */
const LARGE_MESSAGE_BYTES = 16 << 20;

/** Topic settings, see docs/architecture.md. Times of producing, so that retention follows Kafka's clock and not a bot's. */
export function topicSettings(names: TopicNames): Record<string, Record<string, string>> {
  const base = (days: number) => ({
    'cleanup.policy': 'delete',
    'retention.ms': String(days * DAY_MS),
    'message.timestamp.type': 'CreateTime',
  });
  const large = { 'max.message.bytes': String(LARGE_MESSAGE_BYTES), 'compression.type': 'gzip' };
  return {
    [names.events]: base(7),
    [names.enriched]: base(7),
    [names.replay]: { ...base(7), ...large },
    [names.dlq]: { ...base(30), ...large },
  };
}

/** Partition counts by topic; a topic that does not exist is left out. */
export type PartitionCounts = ReadonlyMap<string, number>;

interface TopicPartitions {
  readonly counts: PartitionCounts;
  /** Partitions of chat.enriched. */
  readonly enrichedPartitions: number;
}

export interface EnsureTopicsOptions {
  readonly prefix: string;
  /** For chat.events, chat.dlq and chat.replay. */
  readonly partitions: number;
  /** For chat.enriched; as many as the others unless given. */
  readonly enrichedPartitions?: number;
  readonly replicationFactor: number;
}

/**
 * Creates the topics that are missing; several services may do so at once. Those that exist keep their partition counts,
 * which may differ while an operator grows them (docs/adr/0017-growing-partitions.md).
 *
 * @returns the partition counts that the topics have now.
 */
export async function ensureTopics(kafka: Kafka, options: EnsureTopicsOptions): Promise<TopicPartitions> {
  const names = topicNames(options.prefix);
  const settings = topicSettings(names);
  const admin = kafka.admin();
  await admin.connect();
  try {
    const existing = new Set(await admin.listTopics());
    const missing = Object.keys(settings).filter((topic) => !existing.has(topic));
    if (missing.length > 0) await createTopics(admin, missing, settings, options);
    const counts = await whenKnown(() => readPartitionCounts(admin, Object.keys(settings)));
    return { counts, enrichedPartitions: counts.get(names.enriched) ?? 1 };
  } finally {
    await admin.disconnect();
  }
}

const NOT_YET = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']);
const KNOWN_POLL_MS = 100;
const KNOWN_POLLS = 150;

/** A broker under load has created a topic, and lists it, some time before it can describe it and has its leaders. */
async function whenKnown<T>(describe: () => Promise<T>): Promise<T> {
  for (let polls = 1; ; polls++) {
    try {
      return await describe();
    } catch (error) {
      if (polls >= KNOWN_POLLS || !NOT_YET.has(errorTypeOf(error) ?? '')) throw error;
      await delay(KNOWN_POLL_MS);
    }
  }
}

async function createTopics(
  admin: ReturnType<Kafka['admin']>,
  topics: readonly string[],
  settings: Record<string, Record<string, string>>,
  { prefix, partitions, enrichedPartitions = partitions, replicationFactor }: EnsureTopicsOptions,
): Promise<void> {
  const { enriched } = topicNames(prefix);
  try {
    await admin.createTopics({
      // It would ask once and fail where the broker does not know the topic yet; whenKnown asks again.
      waitForLeaders: false,
      topics: topics.map((topic) => ({
        topic,
        numPartitions: topic === enriched ? enrichedPartitions : partitions,
        replicationFactor,
        configEntries: Object.entries({
          ...settings[topic],
          // With three replicas an acked record is on two at least.
          ...(replicationFactor > 1 && { 'min.insync.replicas': String(Math.min(2, replicationFactor)) }),
        }).map(([name, value]) => ({ name, value })),
      })),
    });
  } catch (error) {
    // Another service created one of them between our look and our call.
    const errors = error instanceof kafkajs.KafkaJSAggregateError ? error.errors : [error];
    if (!errors.every((each) => (each as { type?: string }).type === 'TOPIC_ALREADY_EXISTS')) throw error;
  }
}

async function readPartitionCounts(
  admin: ReturnType<Kafka['admin']>,
  topics: readonly string[],
): Promise<PartitionCounts> {
  const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] });
  return new Map(found.map(({ name, partitions }) => [name, partitions.length]));
}
