import { setTimeout as delay } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import type { ConfigOf } from '../../core/config.ts';
import { ParleyError } from '../../core/errors.ts';
import type { Logger } from '../logger.ts';
import type { KAFKA_SPEC } from '../settings.ts';
import { clientOf } from './kafkajs/client.ts';
import type { TopicState } from './kafkajs/cluster-state.ts';
import { errorNameOf, errorTypeOf } from './kafkajs/error-type.ts';
import type { Kafka } from './kafkajs/kafka.ts';
import { fetchTopicStates } from './read/topic-ids.ts';
import { refusalOf } from './rights.ts';
import { checkSettings } from './topic-check.ts';

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
/** The largest that hosted brokers commonly allow. */
const HOSTED_MESSAGE_BYTES = 8 << 20;

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
  /** -1 for the brokers' default. */
  readonly replicationFactor: number;
  /** Whether missing topics are created; true by default. */
  readonly create?: boolean;
  /** Gets the warnings about settings. */
  readonly log?: Logger;
}

/** What a service's variables say about its topics. */
export const topicOptions = (config: TopicConfig) => ({
  prefix: config.TOPIC_PREFIX,
  partitions: config.TOPIC_PARTITIONS,
  enrichedPartitions: config.TOPIC_ENRICHED_PARTITIONS,
  replicationFactor: config.TOPIC_REPLICATION,
  create: config.TOPIC_CREATE,
});
type TopicConfig = Pick<ConfigOf<typeof KAFKA_SPEC>, Extract<keyof typeof KAFKA_SPEC, `TOPIC_${string}`>>;

/**
 * Creates the topics that are missing; several services may do so at once. Those that exist keep their partition counts,
 * which may differ while an operator grows them (docs/adr/0017-growing-partitions.md).
 *
 * @returns the partition counts that the topics have now.
 * @throws {ParleyError} TOPIC_MISSING where they are not to be created, TOPIC_SETTINGS where a setting would lose records.
 */
export async function ensureTopics(kafka: Kafka, options: EnsureTopicsOptions): Promise<TopicPartitions> {
  const names = topicNames(options.prefix);
  const settings = topicSettings(names);
  const admin = clientOf(kafka).admin();
  await admin.connect();
  try {
    const existing = new Set((await describeTopics(kafka, Object.keys(settings))).map(({ topic }) => topic));
    const missing = Object.keys(settings).filter((topic) => !existing.has(topic));
    if (missing.length > 0) await createMissing(admin, missing, settings, options);
    const found = await whenKnown(kafka, Object.keys(settings), missing);
    await checkTopics(admin, settings, found, options.log);
    const counts = new Map(found.map(({ topic, partitions }) => [topic, partitions.length]));
    return { counts, enrichedPartitions: counts.get(names.enriched) ?? 1 };
  } finally {
    await admin.disconnect();
  }
}

const KNOWN_POLL_MS = 100;
const KNOWN_POLLS = 150;

/**
 * A broker under load has created a topic some time before it can describe it and has its leaders: 15 s are waited for
 * both. A topic of before whose partition has no leader is no reason to wait, nor one of ours that gets none.
 */
async function whenKnown(kafka: Kafka, topics: readonly string[], created: readonly string[]): Promise<TopicState[]> {
  for (let polls = 1; ; polls++) {
    const found = await describeTopics(kafka, topics);
    const known = new Set(found.map(({ topic }) => topic));
    const isLed = ({ topic, partitions }: TopicState) =>
      !created.includes(topic) || partitions.every(({ leader }) => leader >= 0);
    const unknown = topics.filter((topic) => !known.has(topic));
    if (unknown.length === 0 && (polls >= KNOWN_POLLS || found.every(isLed))) return found;
    if (polls >= KNOWN_POLLS) throw new ParleyError('TOPIC_MISSING', `no broker knows ${unknown.join(', ')}`);
    await delay(KNOWN_POLL_MS);
  }
}

const partitionsOf = (
  topic: string,
  { prefix, partitions, enrichedPartitions = partitions }: EnsureTopicsOptions,
): number => (topic === topicNames(prefix).enriched ? enrichedPartitions : partitions);

const NOT_ALLOWED = new Set(['INVALID_CONFIG', 'POLICY_VIOLATION']);

/** Hosted brokers may allow smaller records than Parley asks for: then as large as they do, a cap of 8 MiB at the least. */
async function createMissing(
  admin: Admin,
  missing: readonly string[],
  settings: Record<string, Record<string, string>>,
  options: EnsureTopicsOptions,
): Promise<void> {
  if (options.create === false) {
    const them = missing.map((topic) => `${topic} (partitions: ${partitionsOf(topic, options)})`).join(', ');
    throw new ParleyError('TOPIC_MISSING', `TOPIC_CREATE is false, and these topics do not exist: ${them}`);
  }
  try {
    await createTopics(admin, missing, settings, options);
  } catch (error) {
    if (!errorsOf(error).some((each) => NOT_ALLOWED.has(errorTypeOf(each) ?? ''))) throw error;
    const smaller = Object.entries(settings).map(([topic, { 'max.message.bytes': bytes, ...rest }]) => [
      topic,
      bytes === undefined ? rest : { ...rest, 'max.message.bytes': String(HOSTED_MESSAGE_BYTES) },
    ]);
    options.log?.warn(
      { bytes: HOSTED_MESSAGE_BYTES },
      'the brokers refuse the settings of topics: tried with smaller records',
    );
    await createTopics(admin, missing, Object.fromEntries(smaller), options);
  }
}

const errorsOf = (error: unknown): readonly unknown[] =>
  error instanceof kafkajs.KafkaJSAggregateError ? error.errors : [error];

async function createTopics(
  admin: Admin,
  topics: readonly string[],
  settings: Record<string, Record<string, string>>,
  options: EnsureTopicsOptions,
): Promise<void> {
  const { replicationFactor } = options;
  try {
    await admin.createTopics({
      // It would ask once and fail where the broker does not know the topic yet; whenKnown asks again.
      waitForLeaders: false,
      topics: topics.map((topic) => ({
        topic,
        numPartitions: partitionsOf(topic, options),
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
    if (!errorsOf(error).every((each) => (each as { type?: string }).type === 'TOPIC_ALREADY_EXISTS')) throw error;
  }
}

const NOT_YET = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']);

/** Those of the topics that the broker knows. */
async function describeTopics(kafka: Kafka, topics: readonly string[]): Promise<TopicState[]> {
  const { topics: found } = await fetchTopicStates(kafka, topics);
  const refused = found.find(({ error }) => error !== 0 && !NOT_YET.has(errorNameOf(error)));
  if (refused) {
    const error = errorNameOf(refused.error);
    throw new ParleyError(
      'KAFKA_RIGHT_MISSING',
      `${refused.topic}: ${refusalOf(error, 'Describe', 'topic', refused.topic)}`,
    );
  }
  return found.filter(({ error }) => error === 0);
}

type Resources = Awaited<ReturnType<Admin['describeConfigs']>>['resources'];

async function readSettings(admin: Admin, topics: readonly string[], log: Logger | undefined): Promise<Resources> {
  try {
    const asked = topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name }));
    return (await admin.describeConfigs({ includeSynonyms: false, resources: asked })).resources;
  } catch (error) {
    if (!errorTypeOf(error)?.endsWith('AUTHORIZATION_FAILED')) throw error;
    log?.warn({ topics }, 'the settings of topics cannot be checked without the right DESCRIBE_CONFIGS on them');
    return [];
  }
}

/** What Parley requires of a topic is read and held against what it has: errors end the start, warnings are logged. */
async function checkTopics(
  admin: Admin,
  wanted: Readonly<Record<string, Readonly<Record<string, string>>>>,
  found: readonly TopicState[],
  log: Logger | undefined,
): Promise<void> {
  const resources = await readSettings(admin, Object.keys(wanted), log);
  const errors: string[] = [];
  for (const { resourceName, configEntries } of resources) {
    const actual = new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]));
    const replicas = found.find(({ topic }) => topic === resourceName)?.partitions[0]?.replicas.length ?? 1;
    const findings = checkSettings(resourceName, wanted[resourceName] ?? {}, actual, replicas);
    for (const warning of findings.warnings) log?.warn({ topic: resourceName }, warning);
    errors.push(...findings.errors);
  }
  if (errors.length > 0) throw new ParleyError('TOPIC_SETTINGS', errors.join('; '));
}
