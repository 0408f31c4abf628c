import type { Admin } from 'kafkajs';
import type { EpochMs, TopicId } from '../../../core/brands.ts';
import { isOfOtherTopic } from '../../../core/commit-owner.ts';
import { parseHostPort } from '../../../core/config.ts';
import { messageOf, ParleyError } from '../../../core/errors.ts';
import { within } from '../../../core/within.ts';
import { tcpProbe } from '../../tcp-probe.ts';
import { clientOf } from '../kafkajs/client.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import type { LogRange } from './log-range.ts';
import { fetchLogRanges, fetchOffsetsSince } from './log-ranges.ts';
import { LogReader } from './log-reader.ts';
import { fetchTopicStates } from './topic-ids.ts';

export interface TopicDescription {
  readonly topic: string;
  /** Kafka's own id; null when the topic does not exist. */
  readonly topic_id: TopicId | null;
  readonly replication: number;
  readonly partitions: readonly LogRange[];
}

/** Set on the topic, or inherited from the broker; both as text. */
export type TopicSettings = Readonly<Record<string, string>>;

export interface GroupDescription {
  readonly group: string;
  /** `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`. */
  readonly state: string;
  readonly members: number;
}

const DESCRIBE_TOPIC = 2;

function probe(broker: string, timeoutMs: number): Promise<void> {
  const { host, port } = parseHostPort(broker) ?? { host: broker, port: 0 };
  return tcpProbe(host, port, timeoutMs);
}

/**
 * What an operator's command reads of a cluster; it changes nothing. Every call is bounded, so that a cluster that is
 * away is reported instead of waited for.
 */
export class ClusterView {
  readonly #kafka: Kafka;
  readonly #admin: Admin;
  readonly #brokers: string;
  readonly #timeoutMs: number;

  private constructor(kafka: Kafka, admin: Admin, brokers: readonly string[], timeoutMs: number) {
    this.#kafka = kafka;
    this.#admin = admin;
    this.#brokers = brokers.join(',');
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param brokers only for messages: what `kafka` was made with.
   * @throws {ParleyError} KAFKA_UNREACHABLE, as do all methods.
   */
  static async connect(kafka: Kafka, brokers: readonly string[], timeoutMs = 10_000): Promise<ClusterView> {
    // A topic that was made just now may have no leader for a second or two on a busy broker; the bound ends it all.
    const admin = clientOf(kafka).admin({ retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 1_000 } });
    const view = new ClusterView(kafka, admin, brokers, timeoutMs);
    await view.#bounded('connect', async () => {
      await Promise.any(brokers.map((broker) => probe(broker, timeoutMs))).catch(({ errors }: AggregateError) => {
        throw errors[0];
      });
      await admin.connect();
    });
    return view;
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
  }

  /** The topics in the order asked for, with ids and log ranges. */
  async describeTopics(topics: readonly string[]): Promise<TopicDescription[]> {
    const state = await this.#bounded('metadata', () => fetchTopicStates(this.#kafka, topics));
    const there = new Map(state.topics.filter(({ error }) => error === 0).map((each) => [each.topic, each]));
    return Promise.all(
      topics.map(async (topic) => {
        const found = there.get(topic);
        return {
          topic,
          topic_id: found?.topicId ?? null,
          replication: found?.partitions[0]?.replicas.length ?? 0,
          partitions: found ? await this.logRanges(topic) : [],
        };
      }),
    );
  }

  /** By partition, ascending. */
  async logRanges(topic: string): Promise<LogRange[]> {
    return await this.#bounded('log ranges', () => fetchLogRanges(this.#kafka, topic));
  }

  /** By partition, the first offset whose record was produced at this time or later; the log's end where there is none. */
  async offsetsSince(topic: string, since: EpochMs): Promise<Map<number, number>> {
    return await this.#bounded('offsets by time', () => fetchOffsetsSince(this.#kafka, topic, since));
  }

  /**
   * A group's committed offsets in a topic, by partition. Left out are partitions without one; and with `topicId` those
   * whose commit was made for an earlier topic of this name.
   */
  async committed(group: string, topic: string, topicId?: TopicId): Promise<Map<number, number>> {
    const commits = await this.commits(group, topic);
    const ours = [...commits].filter(([, { metadata }]) => topicId === undefined || !isOfOtherTopic(metadata, topicId));
    return new Map(ours.map(([partition, { offset }]) => [partition, offset]));
  }

  /** A group's commits in a topic, by partition; partitions without one are left out. */
  async commits(group: string, topic: string): Promise<Map<number, { offset: number; metadata: string }>> {
    const [found] = await this.#bounded('committed offsets', () =>
      this.#admin.fetchOffsets({ groupId: group, topics: [topic] }),
    );
    const set = (found?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0);
    return new Map(
      set.map(({ partition, offset, metadata }) => [partition, { offset: Number(offset), metadata: metadata ?? '' }]),
    );
  }

  /** How many partitions a topic has now. */
  async partitionCount(topic: string): Promise<number> {
    const { topics } = await this.#bounded('metadata', () => fetchTopicStates(this.#kafka, [topic]));
    return topics[0]?.partitions.length ?? 0;
  }

  /** A topic's settings, by topic. */
  async settings(topics: readonly string[]): Promise<Map<string, TopicSettings>> {
    if (topics.length === 0) return new Map();
    const { resources } = await this.#bounded('topic settings', () =>
      this.#admin.describeConfigs({
        includeSynonyms: false,
        resources: topics.map((name) => ({ type: DESCRIBE_TOPIC, name })),
      }),
    );
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    );
  }

  /** For reading records; to be closed by the caller. */
  openLogReader(): Promise<LogReader> {
    return this.#bounded('log reader', () => LogReader.connect(this.#kafka));
  }

  async describeGroups(groups: readonly string[]): Promise<GroupDescription[]> {
    const { groups: found } = await this.#bounded('groups', () => this.#admin.describeGroups([...groups]));
    return found.map(({ groupId, state, members }) => ({ group: groupId, state, members: members.length }));
  }

  async #bounded<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await within(this.#timeoutMs, work(), () => {
        throw new Error(`no answer within ${this.#timeoutMs} ms`);
      });
    } catch (error) {
      throw new ParleyError(
        'KAFKA_UNREACHABLE',
        `Kafka at ${this.#brokers} did not answer (${what}): ${messageOf(error)}. Start the stack with npm start, or set KAFKA_BROKERS.`,
        { cause: error },
      );
    }
  }
}
