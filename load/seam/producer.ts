import { setTimeout as delay } from 'node:timers/promises';
import { Producer } from '@platformatic/kafka';
import { ProduceTimeoutError, RecordRefusedError } from '../../services/platform/kafka/produce/batch-producer.ts';
import type { OutgoingRecord } from '../../services/platform/kafka/produce/pending-record.ts';
import { answerOf } from '../../services/platform/kafka/produce/produce-answers.ts';
import type {
  ContractProducer,
  ContractProducerOptions,
} from '../../services/platform/kafka/testing/contract/adapter.ts';
import { optionsOf } from './client-options.ts';

interface Pending {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly settle: (error?: Error) => void;
  settled: boolean;
  /** Its batch was too large. */
  alone: boolean;
}

interface PartitionAnswer {
  readonly index: number;
  readonly errorCode: number;
  readonly recordErrors: readonly { readonly batchIndex: number }[];
}

type ProduceResponse = {
  readonly responses: readonly { name: string; partitionResponses: readonly PartitionAnswer[] }[];
};

const RETRY_MS = 100;
const LINGER_MS = 4;
const BATCH = 500;

/** Gathers records for `Producer.send`, one call at a time, and settles each partition by its own answer. */
export class SpikeProducer implements ContractProducer {
  readonly #producer: Producer;
  readonly #options: ContractProducerOptions;
  #waiting: Pending[] = [];
  #running: Promise<void> | undefined;
  #closed = false;
  pendingBytes = 0;

  constructor(brokers: readonly string[], options: ContractProducerOptions) {
    this.#producer = new Producer({ ...optionsOf(brokers), idempotent: true, acks: -1 });
    this.#options = options;
  }

  send(record: OutgoingRecord): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0);
    const { ttlMs } = this.#options;
    const pending: Pending = {
      record,
      bytes,
      settled: false,
      alone: false,
      settle: (error) => {
        if (pending.settled) return;
        pending.settled = true;
        clearTimeout(timer);
        this.pendingBytes -= bytes;
        if (error) reject(error);
        else resolve();
      },
    };
    const timer = ttlMs && setTimeout(() => pending.settle(new ProduceTimeoutError(`no ack in ${ttlMs} ms`)), ttlMs);
    this.pendingBytes += bytes;
    this.#waiting.push(pending);
    this.#running ??= this.#run();
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const pending of this.#waiting) pending.settle(new Error('closed'));
    await this.#producer.close(true);
  }

  async #run(): Promise<void> {
    await delay(this.#options.lingerMs ?? LINGER_MS);
    while (this.#waiting.length > 0 && !this.#closed) {
      this.#waiting = this.#waiting.filter(({ settled }) => !settled);
      const count = this.#waiting[0]?.alone ? 1 : (this.#options.maxBatchRecords ?? BATCH);
      const batch = this.#waiting.splice(0, count);
      if (batch.length > 0 && (await this.#sendBatch(batch))) await delay(RETRY_MS);
    }
    // In the same turn as the last look, so that no record is left behind.
    this.#running = undefined;
  }

  /** @returns whether something of it is to be sent again. */
  async #sendBatch(batch: readonly Pending[]): Promise<boolean> {
    try {
      const messages = batch.map(({ record }) => messageOf(record));
      await this.#producer.send({ messages });
      for (const pending of batch) pending.settle();
      return false;
    } catch (error) {
      const answers = answersOf(error);
      const again: Pending[] = [];
      for (const [place, ofPartition] of Map.groupBy(batch, ({ record }) => `${record.topic}/${record.partition}`)) {
        again.push(...settleBy(answers.get(place), ofPartition));
      }
      this.#waiting.unshift(...again);
      return again.length > 0;
    }
  }
}

const messageOf = ({ topic, partition, key, value, headers = {} }: OutgoingRecord) => ({
  topic,
  partition,
  ...(key !== null && { key: Buffer.from(key) }),
  ...(value !== null && { value: Buffer.from(value) }),
  headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
});

/** A partition without an answer may have the records or not: they are sent again, under another producer id. */
function settleBy(answer: PartitionAnswer | undefined, records: readonly Pending[]): readonly Pending[] {
  if (!answer) return records;
  const { code, verdict } = answerOf(answer.errorCode);
  if (verdict === 'stored') {
    for (const pending of records) pending.settle();
    return [];
  }
  const refuse = (pending: Pending) =>
    pending.settle(new RecordRefusedError(code, pending.record.topic, pending.bytes));
  if (verdict === 'refused') {
    // Kafka names the records at fault; the others of the batch were not appended either.
    const guilty = new Set(answer.recordErrors.map(({ batchIndex }) => batchIndex));
    records.forEach((pending, index) => {
      if (guilty.size === 0 || guilty.has(index)) refuse(pending);
    });
  } else if (verdict === 'too-large') {
    for (const pending of records) {
      if (records.length === 1) refuse(pending);
      pending.alone = true;
    }
  }
  return records.filter(({ settled }) => !settled);
}

/** By topic and partition: `send` throws for all partitions where one has an error, with the response inside. */
function answersOf(error: unknown): ReadonlyMap<string, PartitionAnswer> {
  const found = new Map<string, PartitionAnswer>();
  const look = (each: { response?: ProduceResponse; errors?: unknown[]; cause?: unknown } | undefined): void => {
    for (const { name, partitionResponses } of each?.response?.responses ?? []) {
      for (const answer of partitionResponses) found.set(`${name}/${answer.index}`, answer);
    }
    for (const inner of [...(each?.errors ?? []), each?.cause]) if (inner) look(inner as typeof each);
  };
  look(error as Parameters<typeof look>[0]);
  return found;
}
