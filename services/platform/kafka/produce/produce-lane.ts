import type { Logger } from '../../logger.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { ProduceLink } from '../kafkajs/produce-link.ts';
import type { PartitionRecords, ProducerIdentity } from '../kafkajs/record-batch-encoder.ts';
import { PartitionQueue } from './partition-queue.ts';
import type { PendingRecord } from './pending-record.ts';
import { type Answer, answerOf, NO_ANSWER, NO_LEADER, NOT_SENT } from './produce-answers.ts';
import { RefusalLog } from './refusal-log.ts';

export interface LaneOptions {
  readonly lingerMs: number;
  /** How long at most where records come so fast that waiting makes a batch larger worth the while. */
  readonly maxLingerMs: number;
  /** A batch of this many records waits for no more. */
  readonly enoughRecords: number;
  readonly maxBatchRecords: number;
  readonly maxBatchBytes: number;
  readonly log: Logger;
  readonly onBatch: (records: number, seconds: number) => void;
  /** A partition goes on under a new producer id. */
  readonly onReplaced: () => void;
}

/** Fewer records than this gained by waiting longer are not worth their latency. */
const WORTHWHILE_RECORDS = 16;

interface Sending {
  readonly queue: PartitionQueue;
  readonly batch: PartitionRecords;
}

/**
 * An idempotent producer for a set of partitions, with a link to the brokers of its own. One request at a time is
 * outstanding for each leader, and of each partition one batch; each partition is settled by its own answer, and one
 * that has to wait holds up no other. Every wait has a timer, and metadata is refreshed before a partition without a
 * leader, or newer than this client, is tried again.
 */
export class ProduceLane {
  readonly #options: LaneOptions;
  readonly #link: ProduceLink;
  readonly #refusals: RefusalLog;
  readonly #queues = new Map<string, Map<number, PartitionQueue>>();
  /** Queues that hold records, the one that was served longest ago first. */
  readonly #active = new Set<PartitionQueue>();
  readonly #busyLeaders = new Set<number>();
  #identity: ProducerIdentity | undefined;
  #renewal: Promise<ProducerIdentity> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #queued = 0;
  #closing = false;
  #flushed: (() => void) | undefined;
  #pushed = 0;
  #takenAtMs = 0;
  /** Records a millisecond, over the last few batches. */
  #arrivals = 0;

  constructor(kafka: Kafka, options: LaneOptions) {
    this.#options = options;
    this.#link = new ProduceLink(kafka, options.log);
    this.#refusals = new RefusalLog(options.log);
  }

  async connect(): Promise<void> {
    this.#identity = await this.#link.connect();
  }

  push(pending: PendingRecord): void {
    const queue = this.#queueOf(pending.record.topic, pending.record.partition);
    queue.push(pending);
    this.#active.add(queue);
    this.#queued += 1;
    this.#pushed += 1;
    this.#wakeFor(queue, this.#soonestMs());
  }

  /** Sends what is queued, then disconnects. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#active.size > 0 || this.#busyLeaders.size > 0) {
      const flushed = new Promise<void>((resolve) => {
        this.#flushed = resolve;
      });
      this.#wakeAt(0);
      await flushed;
    }
    await this.#disconnect();
  }

  /** Forgets queued records that were given up. */
  dropSettled(): void {
    this.#queued = 0;
    for (const queue of this.#active) {
      queue.dropSettled();
      this.#queued += queue.waiting;
      if (queue.waiting === 0 && !queue.inFlight) this.#active.delete(queue);
    }
    this.#endIfFlushed();
  }

  /** Gives up everything, and sends nothing more. */
  abandon(error: Error): void {
    this.#closing = true;
    for (const queue of this.#active) queue.abandon(error);
    this.#active.clear();
    this.#queued = 0;
    clearTimeout(this.#timer);
    this.#endIfFlushed();
    void this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#link.disconnect();
  }

  #queueOf(topic: string, partition: number): PartitionQueue {
    let ofTopic = this.#queues.get(topic);
    if (!ofTopic) {
      ofTopic = new Map();
      this.#queues.set(topic, ofTopic);
    }
    let queue = ofTopic.get(partition);
    if (!queue) {
      queue = new PartitionQueue(topic, partition);
      ofTopic.set(partition, queue);
    }
    return queue;
  }

  /** When a record that comes now goes out, as far as lingering has a say. */
  #soonestMs(): number {
    const { lingerMs, maxLingerMs, enoughRecords } = this.#options;
    const nowMs = performance.now();
    if (this.#closing || this.#queued >= enoughRecords) return nowMs;
    return nowMs + (this.#arrivals * maxLingerMs >= WORTHWHILE_RECORDS ? maxLingerMs : lingerMs);
  }

  /** After an answer or new metadata, any queue may have its turn. */
  #schedule(): void {
    if (this.#active.size === 0) return;
    const soonestMs = this.#soonestMs();
    for (const queue of this.#active) this.#wakeFor(queue, soonestMs);
  }

  #wakeFor(queue: PartitionQueue, soonestMs: number): void {
    const dueMs = Math.max(soonestMs, queue.notBeforeMs);
    if (dueMs >= this.#timerDueMs || queue.inFlight) return;
    // Behind a busy leader, or without metadata, the queue is looked at again when there is an answer.
    const leader = this.#link.leaderOf(queue.topic, queue.partition);
    const waits = leader === undefined ? this.#link.refreshing : this.#busyLeaders.has(leader);
    if (!waits) this.#wakeAt(dueMs);
  }

  #wakeAt(dueMs: number): void {
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(
      () => {
        this.#timerDueMs = Number.POSITIVE_INFINITY;
        this.#dispatch();
      },
      Math.max(dueMs - performance.now(), 0),
    );
  }

  /** One request to each leader that is free and has records whose time has come. */
  #dispatch(): void {
    const nowMs = performance.now();
    this.#arrivals = (this.#arrivals * 3 + this.#pushed / Math.max(1, nowMs - this.#takenAtMs)) / 4;
    this.#takenAtMs = nowMs;
    this.#pushed = 0;
    const ready = new Map<number, PartitionQueue[]>();
    for (const queue of this.#active) {
      if (queue.inFlight || queue.notBeforeMs > nowMs) continue;
      const leader = this.#link.leaderOf(queue.topic, queue.partition);
      if (leader === undefined) this.#missLeader(queue);
      else if (!this.#busyLeaders.has(leader)) ready.set(leader, [...(ready.get(leader) ?? []), queue]);
    }
    for (const [leader, queues] of ready) void this.#send(leader, queues);
    this.#schedule();
    this.#endIfFlushed();
  }

  #missLeader(queue: PartitionQueue): void {
    if (this.#link.knows(queue.topic)) this.#answer(queue, NO_LEADER);
    else this.#refresh();
  }

  #refresh(): void {
    void this.#link.refresh(this.#queues.keys()).then(() => this.#schedule());
  }

  async #send(leader: number, queues: readonly PartitionQueue[]): Promise<void> {
    this.#busyLeaders.add(leader);
    const startedMs = performance.now();
    let sending: readonly Sending[] = [];
    let answers: (sent: Sending) => Answer = () => NO_ANSWER;
    try {
      const connected = await this.#link.reach(leader);
      await this.#identify(queues);
      sending = this.#take(queues);
      if (sending.length > 0) {
        const codes = await connected.produce(sending.map(({ queue, batch }) => ({ topic: queue.topic, ...batch })));
        answers = ({ queue }) => {
          const code = codes.get(queue.topic)?.get(queue.partition);
          return code === undefined ? NO_ANSWER : answerOf(code);
        };
      }
    } catch (error) {
      this.#refusals.failed(leader, error);
      this.#link.lost(error);
      if (sending.length === 0) for (const queue of queues) this.#answer(queue, NOT_SENT);
    }
    let stored = 0;
    for (const sent of sending) stored += this.#answer(sent.queue, answers(sent));
    if (stored > 0) this.#options.onBatch(stored, (performance.now() - startedMs) / 1_000);
    this.#busyLeaders.delete(leader);
    this.#schedule();
    this.#endIfFlushed();
  }

  /** As much as one request holds; the queues that had their turn go to the end. */
  #take(queues: readonly PartitionQueue[]): Sending[] {
    const { maxBatchRecords, maxBatchBytes } = this.#options;
    const sending: Sending[] = [];
    let [maxRecords, maxBytes] = [maxBatchRecords, maxBatchBytes];
    for (const queue of queues) {
      if (maxRecords <= 0 || maxBytes <= 0) break;
      if (queue.inFlight) continue;
      const before = queue.waiting;
      const taken = queue.take({ maxRecords, maxBytes });
      this.#queued += queue.waiting - before;
      this.#active.delete(queue);
      if (!taken) continue;
      this.#active.add(queue);
      sending.push({ queue, batch: taken.batch });
      maxRecords -= taken.batch.messages.length;
      maxBytes -= taken.bytes;
    }
    return sending;
  }

  #answer(queue: PartitionQueue, answer: Answer): number {
    const before = queue.waiting;
    const stored = queue.answer(answer, performance.now());
    this.#queued += queue.waiting - before;
    if (queue.waiting === 0) this.#active.delete(queue);
    this.#refusals.note(queue, answer);
    // Without an answer too: the leader may be another one by now, while the old one is silent.
    if (answer.verdict === 'moved' || answer.verdict === 'unclear') this.#refresh();
    return stored;
  }

  async #identify(queues: readonly PartitionQueue[]): Promise<void> {
    for (const queue of queues) {
      const spent = queue.needsOtherIdentityThan;
      if (spent === undefined) continue;
      if (spent !== 'any') this.#options.onReplaced();
      const identity = this.#identity && this.#identity !== spent ? this.#identity : await this.#renew();
      if (queue.needsOtherIdentityThan !== undefined) queue.adopt(identity);
    }
  }

  #renew(): Promise<ProducerIdentity> {
    this.#renewal ??= this.#link
      .newIdentity()
      .then((identity) => {
        this.#identity = identity;
        return identity;
      })
      .finally(() => {
        this.#renewal = undefined;
      });
    return this.#renewal;
  }

  #endIfFlushed(): void {
    if (this.#active.size === 0 && this.#busyLeaders.size === 0) this.#flushed?.();
  }
}
