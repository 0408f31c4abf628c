import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../core/errors.ts';
import { within } from '../../../core/within.ts';
import type { Logger } from '../../logger.ts';
import { type FetchedSet, fetchRaw } from '../kafkajs/fetch-request.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalBroker, type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';

/** Takes over what one fetch brought of one partition and says where to go on. Synchronous; must not throw. */
export type TakeSet = (records: Buffer, from: number) => number;

export interface TailOptions {
  readonly kafka: Kafka;
  readonly topic: string;
  /** The log is read from the first record of this time on, milliseconds since the epoch. */
  readonly since: number;
  readonly take: TakeSet;
  readonly log: Logger;
}

/** How long the broker holds an empty fetch back: a record that comes meanwhile is answered with at once. */
const MAX_WAIT_MS = 500;
/**
 * The least time from one fetch to the next. Under load there is always something new, and a fetch costs as much as
 * hundreds of records: the more the last one brought, the longer the next one waits.
 */
const INTERVAL_MS = 20;
const BUSY_INTERVAL_MS = 50;
const BUSY_BYTES = 32 << 10;
const FETCH_BYTES = 4 << 20;
const RETRY_MS = 250;
const CLOSE_MS = 1_000;
const OFFSET_OUT_OF_RANGE = 1;

/** After this the partitions and their leaders are looked up anew: a topic may have grown. */
const ROUND_MS = 30_000;

/** A stretch of time in which the partitions and their leaders stay the same. */
interface Round {
  over: boolean;
  readonly untilMs: number;
}

/**
 * Follows the end of all partitions of a topic, by assignment: no group, no commits, nothing left on the broker. One
 * fetch a broker is outstanding, for all the partitions that it leads, so memory is bounded by one answer a broker.
 * Record sets come undecoded. Never ends by itself; after an error it looks for the leaders anew and goes on where it was.
 */
export class TailReader {
  readonly #options: TailOptions;
  readonly #cluster: InternalCluster;
  readonly #positions = new Map<number, number>();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  /** When all was read up to the end, ms since the epoch: where a partition goes on that has lost its place. */
  #since: number;
  #turn = 0;
  /** Partitions that the topic had when it was looked at last. */
  #known = 0;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#since = options.since;
    this.#cluster = openCluster(options.kafka);
    this.#ended = this.#run();
  }

  /** Resolves when no fetch is outstanding any more, or after a second: a Kafka that is away may be tried for longer. */
  async close(): Promise<void> {
    this.#stop.abort();
    await within(CLOSE_MS, this.#ended, () => undefined);
  }

  get #closing(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    const { topic, log } = this.#options;
    while (!this.#closing) {
      try {
        await this.#cluster.connect();
        await this.#cluster.addTargetTopic(topic);
        await this.#cluster.refreshMetadata();
        const partitions = this.#cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
        await this.#locate(partitions);
        await this.#followAll(partitions);
      } catch (error) {
        log.warn({ err: messageOf(error), topic }, 'the end of a topic cannot be followed at the moment');
        await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
    await this.#cluster.disconnect();
  }

  /** Positions for the partitions that have none yet. */
  async #locate(partitions: readonly number[]): Promise<void> {
    const { topic } = this.#options;
    // A partition that the topic has grown since is read from its start.
    for (const partition of partitions) {
      if (this.#known > 0 && partition >= this.#known) this.#positions.set(partition, 0);
    }
    this.#known = Math.max(this.#known, partitions.length);
    const missing = partitions
      .filter((partition) => !this.#positions.has(partition))
      .map((partition) => ({ partition }));
    if (missing.length === 0) return;
    const ask = async (fromTimestamp?: number) => {
      const at = fromTimestamp === undefined ? {} : { fromTimestamp };
      const [found] = await this.#cluster.fetchTopicsOffset([
        { topic, fromBeginning: false, ...at, partitions: missing },
      ]);
      return new Map((found?.partitions ?? []).map(({ partition, offset }) => [partition, Number(offset)]));
    };
    // The end first: what is written between the two questions is read then, not missed.
    const ends = await ask();
    const bySince = await ask(this.#since);
    for (const { partition } of missing) {
      const offset = bySince.get(partition) ?? -1;
      this.#positions.set(partition, offset >= 0 ? offset : (ends.get(partition) ?? 0));
    }
  }

  async #followAll(partitions: readonly number[]): Promise<void> {
    const { topic } = this.#options;
    const leaders = Object.entries(this.#cluster.findLeaderForPartitions(topic, [...partitions]));
    if (leaders.flatMap(([, led]) => led).length < partitions.length) throw new Error('a partition has no leader');
    const round: Round = { over: false, untilMs: performance.now() + ROUND_MS };
    const results = await Promise.allSettled(leaders.map(([nodeId, led]) => this.#follow(nodeId, led, round)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #follow(nodeId: string, led: readonly number[], round: Round): Promise<void> {
    try {
      const broker = await this.#cluster.findBroker({ nodeId });
      while (!round.over && !this.#closing && performance.now() < round.untilMs) {
        const startedMs = performance.now();
        const startedAt = Date.now();
        const sets = await this.#fetch(broker, led);
        for (const set of sets) this.#take(set);
        this.#since = startedAt;
        const bytes = sets.reduce((sum, { records }) => sum + records.length, 0);
        const intervalMs = bytes < BUSY_BYTES ? INTERVAL_MS : BUSY_INTERVAL_MS;
        const leftMs = intervalMs - (performance.now() - startedMs);
        if (leftMs > 1) await delay(leftMs);
      }
    } finally {
      round.over = true;
    }
  }

  #fetch(broker: InternalBroker, led: readonly number[]): Promise<FetchedSet[]> {
    const { topic } = this.#options;
    const positions = led.map((partition) => ({ topic, partition, offset: this.#positions.get(partition) ?? 0 }));
    // Another one first each time: the broker fills its answer in this order.
    positions.push(...positions.splice(0, this.#turn++ % positions.length));
    return fetchRaw(broker, {
      positions,
      maxWaitMs: MAX_WAIT_MS,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: FETCH_BYTES,
    });
  }

  #take({ partition, error, records }: FetchedSet): void {
    // A fetch that was under way when we were told to stop: another reader may have these by now.
    if (this.#closing) return;
    if (error === OFFSET_OUT_OF_RANGE) {
      // The log was cut, or is another one by now.
      this.#positions.delete(partition);
      throw new Error(`partition ${partition} no longer holds our offset`);
    }
    if (error !== 0) throw new Error(`Kafka answered error ${error} for partition ${partition}`);
    if (records.length === 0) return;
    this.#positions.set(partition, this.#options.take(records, this.#positions.get(partition) ?? 0));
  }
}
