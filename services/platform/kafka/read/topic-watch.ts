import { setTimeout as delay } from 'node:timers/promises';
import type { TopicId } from '../../../core/brands.ts';
import { messageOf, ParleyError } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../metrics.ts';
import { type ClusterIds, requestIds } from '../kafkajs/cluster-ids.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { rightOn } from '../rights.ts';

export interface TopicWatchOptions {
  readonly kafka: Kafka;
  readonly topics: readonly string[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly everyMs?: number;
  /** At every look: the ids of the topics that exist. */
  readonly onIds: (ids: ReadonlyMap<string, TopicId>) => void;
  /** At every look: the partition counts of the topics that exist. */
  readonly onPartitions?: (counts: ReadonlyMap<string, number>) => void;
  /** Behind the same address is another cluster now: CLUSTER_CHANGED. */
  readonly onOtherCluster: (error: ParleyError) => void;
}

const LOOK_EVERY_MS = 1_000;
/** After this a look is given up, with its connection: a broker that went away leaves requests without an end. */
const LOOK_BOUND_MS = 5_000;
/** How long a scrape waits for the first look. */
const FIRST_LOOK_MS = 1_000;

/**
 * Looks once a second whether the cluster and the topics are still those of before. The fetch requests that kafkajs knows
 * go by a topic's name: of a topic that is deleted and made again between two of them, or of a broker that comes back
 * with an empty disk, a consumer would notice nothing and read on at an offset that means nothing there.
 */
export class TopicWatch {
  readonly #options: TopicWatchOptions;
  readonly #closing = new AbortController();
  readonly #missing = new Set<string>();
  #hidden: ReadonlySet<string> = new Set();
  readonly #looked = Promise.withResolvers<void>();
  #cluster: InternalCluster | undefined;
  #clusterId: string | undefined;
  #ids: ReadonlyMap<string, TopicId> = new Map();

  private constructor(options: TopicWatchOptions) {
    this.#options = options;
    const { metrics, topics } = options;
    metrics.gauge(
      'parley_topic_info',
      '1 for the id that the topic has now; another id is another topic',
      ['topic', 'topic_id'],
      async (gauge) => {
        // The first scrape comes right after the start.
        if (!this.#clusterId)
          await Promise.race([this.#looked.promise, delay(FIRST_LOOK_MS, undefined, { ref: false })]);
        gauge.reset();
        for (const [topic, topic_id] of this.#ids) gauge.set({ topic, topic_id }, 1);
      },
    );
    metrics.gauge('parley_topic_missing', '1 while the topic does not exist', ['topic'], (gauge) => {
      for (const topic of topics) gauge.set({ topic }, this.#missing.has(topic) ? 1 : 0);
    });
  }

  static start(options: TopicWatchOptions): TopicWatch {
    const watch = new TopicWatch(options);
    void watch.#run();
    return watch;
  }

  close(): void {
    this.#closing.abort();
    this.#drop();
  }

  async #run(): Promise<void> {
    const { everyMs = LOOK_EVERY_MS, log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        this.#compareAll(this.#withHidden(await this.#bounded(this.#ask())));
      } catch (error) {
        log.debug({ err: messageOf(error) }, 'the cluster could not be looked at');
        this.#drop();
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    this.#drop();
  }

  async #ask(): Promise<ClusterIds> {
    const { kafka, topics } = this.#options;
    if (!this.#cluster) {
      const cluster = openCluster(kafka);
      this.#cluster = cluster;
      await cluster.connect();
      await cluster.refreshMetadata();
    }
    return await requestIds(await this.#cluster.findControllerBroker(), topics);
  }

  async #bounded<T>(work: Promise<T>): Promise<T> {
    const over = new AbortController();
    const bound = delay(LOOK_BOUND_MS, undefined, { signal: over.signal, ref: false }).then(() => {
      throw new Error(`no answer within ${LOOK_BOUND_MS} ms`);
    });
    // Whichever loses the race rejects with nobody listening.
    bound.catch(() => undefined);
    work.catch(() => undefined);
    return await Promise.race([work, bound]).finally(() => over.abort());
  }

  /** A topic that this user may not see any more is no topic that is gone: it counts as it was. */
  #withHidden(found: ClusterIds): ClusterIds {
    const { topics, hidden } = found;
    const { log } = this.#options;
    for (const topic of hidden) {
      if (this.#hidden.has(topic)) continue;
      log.error({ code: 'KAFKA_RIGHT_MISSING', topic }, `this user lacks ${rightOn('Describe', 'topic', topic)}`);
    }
    this.#hidden = new Set(hidden);
    const known = hidden.flatMap((topic) => {
      const id = this.#ids.get(topic);
      return id === undefined ? [] : [[topic, id] as const];
    });
    return { ...found, topics: new Map([...topics, ...known]) };
  }

  #compareAll(found: ClusterIds): void {
    const { topics, onIds, onOtherCluster, log } = this.#options;
    if (this.#closing.signal.aborted) return;
    this.#clusterId ??= found.clusterId;
    const change = this.#changeOfCluster(found);
    if (change) {
      const error = new ParleyError('CLUSTER_CHANGED', `Behind the address of Kafka is another cluster: ${change}.`);
      log.error({ code: error.code, was: this.#clusterId, is: found.clusterId }, error.message);
      this.#closing.abort();
      onOtherCluster(error);
      return;
    }
    for (const topic of topics) this.#compare(topic, found.topics.get(topic));
    this.#ids = new Map([...this.#ids, ...found.topics]);
    this.#looked.resolve();
    onIds(found.topics);
    this.#options.onPartitions?.(found.partitions);
  }

  /** A disk that was wiped may have been given the same cluster id again: then no topic is left of those that were. */
  #changeOfCluster({ clusterId, topics }: ClusterIds): string | undefined {
    if (this.#clusterId !== clusterId) return `it was ${this.#clusterId} and is ${clusterId}`;
    const wanted = this.#options.topics;
    const allGone = wanted.every((topic) => this.#ids.has(topic) && !topics.has(topic));
    return allGone ? `it has none of the topics that were read, ${wanted.join(', ')}` : undefined;
  }

  #compare(topic: string, topicId: TopicId | undefined): void {
    const { log } = this.#options;
    const before = this.#ids.get(topic);
    if (!topicId && !this.#missing.has(topic)) {
      this.#missing.add(topic);
      log.error({ code: 'TOPIC_MISSING', topic, was: before }, 'the topic does not exist');
    }
    if (topicId) this.#missing.delete(topic);
    if (topicId && before && before !== topicId) {
      const fields = { code: 'TOPIC_RECREATED', topic, was: before, is: topicId };
      log.error(fields, 'the topic was deleted and made again: the new one is read from its start');
    }
  }

  /** Nobody waits for it: it may take as long as a broker that is away. */
  #drop(): void {
    void this.#cluster?.disconnect().catch(() => undefined);
    this.#cluster = undefined;
  }
}
