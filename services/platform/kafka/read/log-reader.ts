import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, ParleyError } from '../../../core/errors.ts';
import { clipRanges, type OffsetRange } from '../../../core/offset-ranges.ts';
import { fetchRaw } from '../kafkajs/fetch-request.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import type { FetchedRecord } from '../record.ts';
import { readLogRanges } from './log-ranges-look.ts';
import { readRecordSet, type Stretch, type UnreadableBatch } from './record-set.ts';

/** What one fetch brought. */
export interface LogPage {
  /** The first offset that was read: behind the one that was asked for where the log was cut meanwhile. */
  readonly from: number;
  readonly records: readonly FetchedRecord[];
  /** The offset behind the page. */
  readonly next: number;
  /** Batches of the page that cannot be read. Between all others the log holds no record. */
  readonly unreadable: readonly UnreadableBatch[];
  /** Where it holds none for a known reason: transaction markers and aborted records. */
  readonly voided: readonly OffsetRange[];
}

const FETCH_BYTES = 4 << 20;
const FETCH_WAIT_MS = 500;
const ATTEMPTS = 8;
const RETRY_MS = 250;
const OFFSET_OUT_OF_RANGE = 1;

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
   * What stands in `[start, end)`, in offset order, as much at a time as one fetch brings, then ends: what is written
   * meanwhile is not read. Offsets that the log does not hold any more are passed over.
   *
   * @throws {ParleyError} KAFKA_UNREACHABLE when the partition cannot be read after several tries.
   */
  async *pages(topic: string, partition: number, start: number, end: number): AsyncGenerator<LogPage> {
    let next = start;
    for (let failures = 0; next < end; ) {
      let page: LogPage | undefined;
      let problem = 'a fetch below the end of the log brought nothing';
      try {
        page = await this.#fetch(topic, partition, next);
      } catch (error) {
        problem = messageOf(error);
      }
      if (page) {
        failures = 0;
        next = page.next;
        const records = page.records.filter(({ offset }) => offset < end);
        yield { ...page, records, next: Math.min(next, end), voided: clipRanges(page.voided, page.from, end) };
      } else if (++failures >= ATTEMPTS) {
        throw new ParleyError('KAFKA_UNREACHABLE', `${topic} partition ${partition} at offset ${next}: ${problem}`);
      } else {
        await delay(RETRY_MS * failures);
        // The leader may be another by now.
        await this.#cluster.refreshMetadata().catch(() => undefined);
      }
    }
  }

  /** The records alone of {@link pages}, for readers to whom it is the same what kind of hole is between them. */
  async *read(topic: string, partition: number, start: number, end: number): AsyncGenerator<readonly FetchedRecord[]> {
    for await (const { records } of this.pages(topic, partition, start, end)) if (records.length > 0) yield records;
  }

  /** Undefined where there is nothing behind `offset` yet. */
  async #fetch(topic: string, partition: number, offset: number): Promise<LogPage | undefined> {
    await this.#cluster.addTargetTopic(topic);
    const known = this.#cluster.findTopicPartitionMetadata(topic);
    const leader = known.find(({ partitionId }) => partitionId === partition)?.leader ?? -1;
    if (leader < 0) throw new Error('the partition has no leader');
    const broker = await this.#cluster.findBroker({ nodeId: String(leader) });
    const [set] = await fetchRaw(broker, {
      positions: [{ topic, partition, offset }],
      maxWaitMs: FETCH_WAIT_MS,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: FETCH_BYTES,
      committedOnly: true,
    });
    if (!set) return undefined;
    if (set.error === OFFSET_OUT_OF_RANGE) {
      const first = await this.#logStart(topic, partition);
      if (first > offset) return { from: first, records: [], next: first, unreadable: [], voided: [] };
    }
    if (set.error !== 0) throw new Error(`Kafka answered error ${set.error}`);
    return pageOf(offset, readRecordSet(set, offset));
  }

  async #logStart(topic: string, partition: number): Promise<number> {
    const { ranges, failed } = await readLogRanges(this.#cluster, topic, partition);
    const [found] = ranges;
    if (!found) throw new Error(`the start of the log cannot be read: ${failed.get(partition)}`);
    return found.start;
  }
}

function pageOf(from: number, stretches: readonly Stretch[]): LogPage | undefined {
  const last = stretches.at(-1);
  return (
    last && {
      from,
      records: stretches.flatMap((each) => (each.kind === 'read' ? each.records : [])),
      next: last.next,
      unreadable: stretches.filter((each) => each.kind === 'unreadable'),
      voided: stretches.flatMap((each) => (each.kind === 'read' ? each.voided : [])),
    }
  );
}
