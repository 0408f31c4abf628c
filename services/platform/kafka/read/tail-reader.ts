import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../core/errors.ts';
import { within } from '../../../core/within.ts';
import type { Logger } from '../../logger.ts';
import { fetchRaw } from '../kafkajs/fetch-request.ts';
import type { FetchedSet } from '../kafkajs/fetched-set.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalBroker, type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { askLeaders, lookUpOffsets } from '../kafkajs/offset-look-up.ts';

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
/** After this where a partition cannot be followed. */
const RETRY_ROUND_MS = 1_000;

type Leaders = ReadonlyMap<number, number>;

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
        const leaders = await askLeaders(this.#cluster, topic);
        await this.#locate(leaders);
        await this.#followAll(leaders);
      } catch (error) {
        log.warn({ err: messageOf(error), topic }, 'the end of a topic cannot be followed at the moment');
        await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
    await this.#cluster.disconnect();
  }

  /** Positions for the partitions that have none yet. */
  async #locate(leaders: Leaders): Promise<void> {
    const { topic } = this.#options;
    // A partition that the topic has grown since is read from its start.
    for (const partition of leaders.keys()) {
      if (this.#known > 0 && partition >= this.#known) this.#positions.set(partition, 0);
    }
    this.#known = Math.max(this.#known, leaders.size);
    const missing = new Map([...leaders].filter(([partition]) => !this.#positions.has(partition)));
    if (missing.size === 0) return;
    // The end first: what is written between the two questions is read then, not missed.
    const ends = await lookUpOffsets(this.#cluster, topic, missing, 'end');
    const bySince = await lookUpOffsets(this.#cluster, topic, missing, this.#since);
    for (const [partition, end] of ends.found) {
      const since = bySince.found.get(partition);
      // Without either answer it is asked for again in the next round.
      if (since !== undefined) this.#positions.set(partition, since >= 0 ? since : end);
    }
  }

  /** Partitions without a leader, or whose leader does not answer, are looked at again soon; the others are followed meanwhile. */
  async #followAll(leaders: Leaders): Promise<void> {
    const located = [...leaders].filter(([partition, leader]) => leader >= 0 && this.#positions.has(partition));
    const roundMs = located.length < leaders.size ? RETRY_ROUND_MS : ROUND_MS;
    const round: Round = { over: false, untilMs: performance.now() + roundMs };
    if (located.length === 0) throw new Error('no partition has a leader that answers');
    const byLeader = Map.groupBy(located, ([, leader]) => leader);
    const results = await Promise.allSettled(
      [...byLeader].map(([leader, led]) =>
        this.#follow(
          String(leader),
          led.map(([partition]) => partition),
          round,
        ),
      ),
    );
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
