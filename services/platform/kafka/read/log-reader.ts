import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, ParleyError } from '../../../core/errors.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import type { FetchedRecord } from '../record.ts';
import { toRecord } from '../record.ts';

const FETCH_BYTES = 4 << 20;
const FETCH_WAIT_MS = 500;
const ATTEMPTS = 8;
const RETRY_MS = 250;

/**
 * Reads stretches of a log by assignment: no group is joined, made or committed, so that nothing is left on the broker
 * and nobody's partitions move. One fetch is outstanding at a time and only when it is asked for: memory is bounded by
 * one answer.
 */
export class LogReader {
  readonly #cluster: InternalCluster;

  private constructor(cluster: InternalCluster) {
    this.#cluster = cluster;
  }

  static async connect(kafka: Kafka): Promise<LogReader> {
    const cluster = openCluster(kafka);
    await cluster.connect();
    return new LogReader(cluster);
  }

  close(): Promise<void> {
    return this.#cluster.disconnect();
  }

  /**
   * The records of `[start, end)` in offset order, as many at a time as one fetch brings, then ends: what is written
   * meanwhile is not read. Offsets that the log does not hold any more are passed over.
   *
   * @throws {ParleyError} KAFKA_UNREACHABLE when the partition cannot be read after several tries.
   */
  async *read(topic: string, partition: number, start: number, end: number): AsyncGenerator<FetchedRecord[]> {
    let next = start;
    for (let failures = 0; next < end; ) {
      let fetched: FetchedRecord[] = [];
      let problem = 'a fetch below the end of the log brought nothing';
      try {
        fetched = (await this.#fetch(topic, partition, next)).filter(({ offset }) => offset >= next);
      } catch (error) {
        problem = messageOf(error);
        if ((error as { type?: string }).type === 'OFFSET_OUT_OF_RANGE') {
          const first = await this.#logStart(topic, partition);
          if (first > next) {
            next = first;
            continue;
          }
        }
      }
      const last = fetched.at(-1);
      if (last) {
        failures = 0;
        next = last.offset + 1;
        yield fetched.filter(({ offset }) => offset < end);
      } else if (++failures >= ATTEMPTS) {
        throw new ParleyError('KAFKA_UNREACHABLE', `${topic} partition ${partition} at offset ${next}: ${problem}`);
      } else {
        await delay(RETRY_MS * failures);
        // The leader may be another by now.
        await this.#cluster.refreshMetadata().catch(() => undefined);
      }
    }
  }

  async #fetch(topic: string, partition: number, offset: number): Promise<FetchedRecord[]> {
    await this.#cluster.addTargetTopic(topic);
    const [nodeId] = Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]));
    if (nodeId === undefined) throw new Error('the partition has no leader');
    const broker = await this.#cluster.findBroker({ nodeId });
    const { responses } = await broker.fetch({
      maxWaitTime: FETCH_WAIT_MS,
      minBytes: 1,
      // A batch that is larger comes whole all the same (KIP-74).
      maxBytes: FETCH_BYTES,
      topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: FETCH_BYTES }] }],
    });
    return responses.flatMap(({ partitions }) =>
      partitions.flatMap(({ messages }) => messages.map((message) => toRecord(message))),
    );
  }

  async #logStart(topic: string, partition: number): Promise<number> {
    const [found] = await this.#cluster.fetchTopicsOffset([
      { topic, fromBeginning: true, partitions: [{ partition }] },
    ]);
    return Number(found?.partitions[0]?.offset ?? 0);
  }
}
