import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Consumer, IS_CONTROL } from '@platformatic/kafka';
import type { FetchedRecord } from '../../services/platform/kafka/record.ts';
import type { ContractFollower } from '../../services/platform/kafka/testing/contract/adapter.ts';
import { SpikeAdmin } from './admin.ts';
import { optionsOf } from './client-options.ts';

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;

export interface FetchedPartition {
  readonly partition: number;
  /** Kafka's error code; 0 is none. */
  readonly error: number;
  readonly records: readonly FetchedRecord[];
  /** The offset behind what was read. */
  readonly next: number;
  readonly highWatermark: number;
}

const MAX_BYTES = 4 << 20;
const COMMITTED = 1;
const RETRY_MS = 250;

/** `Consumer.fetch` by our own positions, with or without a membership of the consumer. */
export class Fetcher {
  readonly #brokers: readonly string[];
  readonly #consumer: Consumer;
  #closing = false;

  constructor(brokers: readonly string[], consumer?: Consumer) {
    this.#brokers = brokers;
    this.#consumer = consumer ?? new Consumer({ ...optionsOf(brokers), groupId: `none-${randomUUID()}` });
  }

  /** One fetch of each leader, from these offsets by partition. */
  async fetch(
    topic: string,
    positions: ReadonlyMap<number, number>,
    maxWaitTime: number,
    forceUpdate = false,
  ): Promise<FetchedPartition[]> {
    if (!this.#consumer.topics.current.includes(topic)) this.#consumer.topics.track(topic);
    const metadata = (await this.#consumer.metadata({ topics: [topic], forceUpdate })).topics.get(topic);
    if (!metadata) throw new Error(`${topic} does not exist`);
    const led = Map.groupBy(positions, ([partition]) => metadata.partitions[partition]?.leader ?? -1);
    led.delete(-1);
    const found = await Promise.all(
      [...led].map(async ([node, wanted]) => {
        const partitions = wanted.map(([partition, offset]) => ({
          partition,
          currentLeaderEpoch: -1,
          fetchOffset: BigInt(offset),
          lastFetchedEpoch: -1,
          partitionMaxBytes: MAX_BYTES,
        }));
        const response = await this.#fetchNode(node, { topicId: metadata.id, partitions }, maxWaitTime);
        return response.responses.flatMap((each) => each.partitions);
      }),
    );
    return found.flat().map((each) => decoded(each, positions.get(each.partitionIndex) ?? 0));
  }

  /** It throws for all partitions where one has an error; the response is inside. */
  async #fetchNode(
    node: number,
    topic: Parameters<Consumer['fetch']>[0]['topics'][number],
    maxWaitTime: number,
  ): Promise<FetchResponse> {
    try {
      const options = { node, topics: [topic], maxWaitTime, maxBytes: MAX_BYTES, isolationLevel: COMMITTED };
      return await this.#consumer.fetch(options as Parameters<Consumer['fetch']>[0]);
    } catch (error) {
      const response = responseIn(error);
      if (!response) throw error;
      return response;
    }
  }

  follow(topic: string, since: number, take: (value: string) => void): ContractFollower {
    const positions = new Map<number, number>();
    const ended = (async () => {
      while (!this.#closing) {
        try {
          if (positions.size === 0) await this.#locate(topic, since, positions);
          for (const { partition, error, records, next } of await this.fetch(topic, positions, 500)) {
            if (error !== 0) await this.#locate(topic, since, positions, partition);
            else positions.set(partition, next);
            if (!this.#closing) for (const { value } of records) take(String(value));
          }
        } catch {
          await delay(RETRY_MS);
        }
      }
    })();
    return {
      close: async () => {
        this.#closing = true;
        await Promise.race([ended, delay(1_000)]);
        await this.close();
      },
    };
  }

  async #locate(topic: string, since: number, positions: Map<number, number>, only?: number): Promise<void> {
    const admin = new SpikeAdmin(this.#brokers);
    try {
      const ranges = await admin.logRanges(topic);
      const at = await admin.offsetsSince(topic, since, ranges.length);
      for (const { partition, start, end } of ranges) {
        if (only !== undefined && only !== partition) continue;
        const found = at.get(partition) ?? -1;
        positions.set(partition, Math.max(found >= 0 ? found : end, start));
      }
    } finally {
      await admin.close();
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#consumer.close(true);
  }
}

function decoded(partition: FetchResponse['responses'][number]['partitions'][number], from: number): FetchedPartition {
  const records: FetchedRecord[] = [];
  let next = from;
  for (const batch of partition.records ?? []) {
    const first = Number(batch.firstOffset);
    next = Math.max(next, first + batch.lastOffsetDelta + 1);
    if (batch.attributes & IS_CONTROL) continue;
    for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
      const offset = first + offsetDelta;
      if (offset < from) continue;
      const size = (key?.length ?? 0) + (value?.length ?? 0);
      const timestamp = Number(batch.firstTimestamp + timestampDelta);
      const named = headers.map(([name, text]) => [String(name), text ?? undefined] as const);
      records.push({ offset, timestamp, key, value, headers: Object.fromEntries(named), size });
    }
  }
  const { partitionIndex, errorCode: error, highWatermark } = partition;
  return { partition: partitionIndex, error, records, next, highWatermark: Number(highWatermark) };
}

function responseIn(error: unknown): FetchResponse | undefined {
  const { response, errors = [], cause } = error as { response?: FetchResponse; errors?: unknown[]; cause?: unknown };
  if (response) return response;
  for (const inner of [...errors, cause]) {
    const found = inner ? responseIn(inner) : undefined;
    if (found) return found;
  }
  return undefined;
}
