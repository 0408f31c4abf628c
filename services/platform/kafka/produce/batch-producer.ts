import { LinkedList } from '../../../core/collections/linked-list.ts';
import { within } from '../../../core/within.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../metrics.ts';
import { LATENCY_BUCKETS_S } from '../../metrics.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type OutgoingRecord, PendingRecord } from './pending-record.ts';
import { ProduceLane } from './produce-lane.ts';

export type { OutgoingRecord } from './pending-record.ts';
export { RecordRefusedError } from './produce-answers.ts';

export interface BatchProducerOptions {
  /** How long the first record of a batch waits for others. */
  readonly lingerMs?: number;
  /** The same at rates where waiting longer makes batches larger; by default `lingerMs`. */
  readonly maxLingerMs?: number;
  /** A batch with this many records goes out at once; by default `maxBatchRecords`. */
  readonly enoughRecords?: number;
  readonly maxBatchRecords?: number;
  readonly maxBatchBytes?: number;
  /** What callers may have waiting in all; see {@link BatchProducer.hasRoomFor}. */
  readonly maxPendingBytes?: number;
  /** A record that is not acked after this long is rejected with {@link ProduceTimeoutError}; by default it waits on. */
  readonly ttlMs?: number;
  /** Producers side by side, by partition: in each, one request at a time is outstanding for each leader. */
  readonly lanes?: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Kafka did not ack in time. The record may or may not be in the log: sent again, it has to be marked as resent. */
export class ProduceTimeoutError extends Error {
  override readonly name = 'ProduceTimeoutError';
}

class ProducerClosedError extends Error {
  override readonly name = 'ProducerClosedError';
}

/** Bytes of a record beyond key and value: headers, framing and our own bookkeeping, rounded up. */
export const RECORD_OVERHEAD_BYTES = 200;
const SWEEP_MS = 250;

/**
 * Gathers records for a few milliseconds and sends them with acks=all, one batch of a partition at a time. A promise resolves
 * only when all in-sync replicas have the record; nothing is dropped while the process lives.
 */
export class BatchProducer {
  readonly #lanes: ProduceLane[];
  readonly #maxPendingBytes: number;
  readonly #ttlMs: number | undefined;
  /** In the order of their age. */
  readonly #waiting = new LinkedList<PendingRecord>();
  readonly #sweeper: NodeJS.Timeout | undefined;
  #pendingBytes = 0;
  #closed = false;

  private constructor(lanes: ProduceLane[], maxPendingBytes: number, ttlMs: number | undefined) {
    this.#lanes = lanes;
    this.#maxPendingBytes = maxPendingBytes;
    this.#ttlMs = ttlMs;
    if (ttlMs !== undefined) this.#sweeper = setInterval(() => this.#expire(ttlMs), SWEEP_MS).unref();
  }

  static async connect(kafka: Kafka, options: BatchProducerOptions): Promise<BatchProducer> {
    const { lingerMs = 4, maxBatchRecords = 500, maxBatchBytes = 900_000, maxPendingBytes = 64 << 20 } = options;
    const { lanes: laneCount = 1, log, metrics, ttlMs } = options;
    const { maxLingerMs = lingerMs, enoughRecords = maxBatchRecords } = options;
    const sizes = metrics.tallied('parley_produce_batch_records', 'Records in one send', [1, 5, 20, 50, 100, 250, 500]);
    const seconds = metrics.tallied('parley_produce_seconds', 'Time of one send, acks=all', LATENCY_BUCKETS_S);
    const replaced = metrics.counter(
      'parley_producers_replaced_total',
      'Times that a partition went on under a new producer id',
    );
    const lanes = Array.from(
      { length: laneCount },
      () =>
        new ProduceLane(kafka, {
          lingerMs,
          maxLingerMs,
          enoughRecords,
          maxBatchRecords,
          maxBatchBytes,
          log,
          onBatch: (count, took) => {
            sizes.observe(count);
            seconds.observe(took);
          },
          onReplaced: () => replaced.inc(),
        }),
    );
    const producer = new BatchProducer(lanes, maxPendingBytes, ttlMs);
    metrics.gauge('parley_produce_pending_bytes', 'Bytes that wait for Kafka', [], (gauge) =>
      gauge.set(producer.pendingBytes),
    );
    await Promise.all(lanes.map((lane) => lane.connect()));
    return producer;
  }

  /** Bytes handed in and not yet acked. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#pendingBytes + bytes <= this.#maxPendingBytes;
  }

  /**
   * Resolves when Kafka has the record on all in-sync replicas.
   *
   * @throws ProduceTimeoutError after `ttlMs`, ProducerClosedError after close, RecordRefusedError where Kafka refuses
   * this very record.
   */
  send(record: OutgoingRecord): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.post(record, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** The same without a promise, for those who send thousands a second: `settled` is called once, never from within. */
  post(record: OutgoingRecord, settled: (error?: Error) => void): void {
    if (this.#closed) {
      queueMicrotask(() => settled(new ProducerClosedError('the producer is closed')));
      return;
    }
    const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    const pending = new PendingRecord(record, bytes, this, settled);
    this.#pendingBytes += bytes;
    if (this.#ttlMs !== undefined) this.#waiting.push(pending);
    (this.#lanes[record.partition % this.#lanes.length] as ProduceLane).push(pending);
  }

  /** Flushes within `boundMs`, then rejects what is left and disconnects. */
  async close(boundMs = 10_000): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    const flushed = Promise.all(this.#lanes.map((lane) => lane.close()));
    await within(boundMs, flushed, () => undefined);
    for (const lane of this.#lanes) lane.abandon(new ProducerClosedError('the producer was closed before Kafka acked'));
  }

  /** For the records themselves. */
  settled(pending: PendingRecord): void {
    this.#pendingBytes -= pending.bytes;
    this.#waiting.delete(pending);
  }

  #expire(ttlMs: number): void {
    const oldest = performance.now() - ttlMs;
    const before = this.#waiting.size;
    for (let pending = this.#waiting.first; pending && pending.enqueuedAtMs <= oldest; pending = this.#waiting.first) {
      pending.settle(new ProduceTimeoutError(`Kafka did not ack within ${ttlMs} ms`));
    }
    if (this.#waiting.size < before) for (const lane of this.#lanes) lane.dropSettled();
  }
}
