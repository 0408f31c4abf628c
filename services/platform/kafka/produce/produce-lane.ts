import { setTimeout as delay } from 'node:timers/promises';
import kafkajs, { type Producer } from 'kafkajs';
import { Link } from '../../../core/collections/linked-list.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import { errorTypeOf } from '../kafkajs/error-type.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { sendInFull, type TopicMessages } from '../kafkajs/send-in-full.ts';

export interface OutgoingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, string | Buffer>>;
  /** The value to send once an earlier send of this record ended with an unclear result. */
  readonly resendValue?: () => Buffer;
}

/** Who keeps account of the records on their way. */
interface Account {
  settled(pending: PendingRecord): void;
}

/** A record on its way: settled once, whatever happens later. */
export class PendingRecord extends Link {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly enqueuedAtMs = performance.now();
  sentBefore = false;
  settled = false;
  readonly #account: Account;
  readonly #onSettled: (error?: Error) => void;

  constructor(record: OutgoingRecord, bytes: number, account: Account, onSettled: (error?: Error) => void) {
    super();
    this.record = record;
    this.bytes = bytes;
    this.#account = account;
    this.#onSettled = onSettled;
  }

  /** @param error why it was given up; undefined: Kafka has it. */
  settle(error?: Error): void {
    if (this.settled) return;
    this.settled = true;
    this.#account.settled(this);
    this.#onSettled(error);
  }
}

export interface LaneOptions {
  readonly lingerMs: number;
  /** How long at most where records come so fast that waiting makes a batch larger worth the while. */
  readonly maxLingerMs: number;
  /** A batch of this many records waits for no more. */
  readonly enoughRecords: number;
  readonly maxBatchRecords: number;
  readonly maxBatchBytes: number;
  /** Of one send within one producer, where a repeated send stays exactly once, before the producer is replaced. */
  readonly retries: number;
  readonly log: Logger;
  readonly onBatch: (records: number, seconds: number) => void;
  readonly onReplaced: () => void;
}

/** Fewer records than this gained by waiting longer are not worth their latency. */
const WORTHWHILE_RECORDS = 16;

/** Errors that a smaller batch may cure; of a single record they are its own fault. */
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD']);

/**
 * One idempotent kafkajs producer with exactly one outstanding send. With concurrent sends kafkajs loses acked records:
 * on an error it rolls the sequence back and the next waiter reuses it. After a final error its sequences are unusable,
 * so the producer is thrown away, a new one connected, and what was unacked sent again, marked as sent before.
 */
export class ProduceLane {
  readonly #kafka: Kafka;
  readonly #options: LaneOptions;
  #producer: Producer | undefined;
  #queue: PendingRecord[] = [];
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #closing = false;
  #pushed = 0;
  #takenAtMs = 0;
  /** Records a millisecond, over the last few batches. */
  #arrivals = 0;

  constructor(kafka: Kafka, options: LaneOptions) {
    this.#kafka = kafka;
    this.#options = options;
  }

  async connect(): Promise<void> {
    this.#producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      // Partitions are given explicitly; named, so that kafkajs does not warn of its default at every start.
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: this.#options.retries, multiplier: 2, factor: 0.3 },
    });
    await this.#producer.connect();
  }

  push(pending: PendingRecord): void {
    this.#queue.push(pending);
    this.#pushed += 1;
    if (this.#queue.length >= this.#options.enoughRecords) this.#wake?.();
    this.#running ??= this.#run();
  }

  /** Sends what is queued, then disconnects. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake?.();
    while (this.#running) await this.#running;
    await this.#producer?.disconnect();
  }

  /** Forgets queued records that were given up: while a send hangs, nobody else would. */
  dropSettled(): void {
    this.#queue = this.#queue.filter(({ settled }) => !settled);
  }

  /** Gives up what is still queued. */
  abandon(error: Error): void {
    for (const pending of this.#queue.splice(0)) pending.settle(error);
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        await this.#linger();
        const batch = this.#takeBatch();
        if (batch.length > 0) await this.#deliver(batch);
      }
    } finally {
      // In the same turn as the last look at the queue: a record that comes right after would else lie there.
      this.#running = undefined;
    }
  }

  async #linger(): Promise<void> {
    const { lingerMs, maxLingerMs, enoughRecords } = this.#options;
    if (this.#closing || this.#queue.length >= enoughRecords) return;
    const waitMs = this.#arrivals * maxLingerMs >= WORTHWHILE_RECORDS ? maxLingerMs : lingerMs;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #takeBatch(): PendingRecord[] {
    const nowMs = performance.now();
    this.#arrivals = (this.#arrivals * 3 + this.#pushed / Math.max(1, nowMs - this.#takenAtMs)) / 4;
    this.#takenAtMs = nowMs;
    this.#pushed = 0;
    let bytes = 0;
    let count = 0;
    for (const { bytes: size } of this.#queue) {
      if (count > 0 && (count >= this.#options.maxBatchRecords || bytes + size > this.#options.maxBatchBytes)) break;
      bytes += size;
      count++;
    }
    return this.#queue.splice(0, count).filter(({ settled }) => !settled);
  }

  /** Does not return before every record of the batch is settled or queued again. */
  async #deliver(batch: PendingRecord[]): Promise<void> {
    const started = performance.now();
    try {
      await this.#send(batch);
      this.#options.onBatch(batch.length, (performance.now() - started) / 1_000);
      for (const pending of batch) pending.settle();
    } catch (error) {
      await this.#recover(batch, error);
    }
  }

  async #send(batch: PendingRecord[]): Promise<void> {
    if (!this.#producer) await this.connect();
    const byTopic = new Map<string, TopicMessages>();
    for (const { record, sentBefore } of batch) {
      const { topic, partition, key, headers, resendValue } = record;
      const value = sentBefore && resendValue ? resendValue() : record.value;
      const entry = byTopic.get(topic) ?? { topic, messages: [] };
      entry.messages.push(headers ? { partition, key, value, headers } : { partition, key, value });
      byTopic.set(topic, entry);
    }
    await sendInFull(this.#producer as Producer, [...byTopic.values()]);
  }

  async #recover(batch: PendingRecord[], error: unknown): Promise<void> {
    this.#options.log.warn({ err: messageOf(error), records: batch.length }, 'a send failed; its producer is replaced');
    this.#options.onReplaced();
    const poisoned = this.#producer;
    this.#producer = undefined;
    await poisoned?.disconnect().catch((cause: unknown) => {
      this.#options.log.debug({ err: messageOf(cause) }, 'the replaced producer did not disconnect cleanly');
    });
    for (const pending of batch) pending.sentBefore = true;
    const remaining = batch.filter(({ settled }) => !settled);
    if (TOO_LARGE.has(errorTypeOf(error) ?? '')) {
      await this.#isolate(remaining, error);
      return;
    }
    this.#queue.unshift(...remaining);
    await delay(100 + Math.random() * 400);
  }

  /** Halves a refused batch until the record at fault stands alone; only that one is rejected. */
  async #isolate(batch: PendingRecord[], error: unknown): Promise<void> {
    if (batch.length <= 1) {
      batch[0]?.settle(error as Error);
      return;
    }
    const middle = batch.length >> 1;
    await this.#deliver(batch.slice(0, middle));
    await this.#deliver(batch.slice(middle));
  }
}
