import type { AbortedTransaction, FetchedSet, FetchPosition } from './fetched-set.ts';
import type { InternalBroker } from './kafkajs-internals.ts';

export interface RawFetch {
  readonly positions: readonly FetchPosition[];
  readonly maxWaitMs: number;
  /** Over all partitions; the first batch of the first partition that has one comes whole all the same (KIP-74). */
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  /** The broker waits for so many bytes over all partitions, but no longer than `maxWaitMs`; 1 unless said. */
  readonly minBytes?: number | undefined;
  /** Reads up to the first transaction that is open, and is told of the aborted ones. */
  readonly committedOnly?: boolean;
  /** Where this process runs, by the names of `broker.rack`. */
  readonly rack?: string | undefined;
}

const FETCH_API_KEY = 1;
const FETCH_VERSION = 11;
const NONE = -1;
const EMPTY = Buffer.alloc(0);
/** Before the topics: replica, wait, least and most bytes, isolation, session id and epoch, number of topics. */
const HEAD_BYTES = 29;
/** Around a topic's name: its length, and the number of its partitions. */
const TOPIC_BYTES = 2 + 4;
const PARTITION_BYTES = 28;
/** After the topics: no forgotten ones, then the rack behind its length. */
const TAIL_BYTES = 4 + 2;

/** Fetches without decoding: of the answer only the frame around the record sets is read (Fetch v11). */
export async function fetchRaw(broker: InternalBroker, fetch: RawFetch): Promise<FetchedSet[]> {
  const encoded = encodeFetch(fetch);
  return (await broker.connectionPool.send({
    request: {
      apiKey: FETCH_API_KEY,
      apiVersion: FETCH_VERSION,
      apiName: 'Fetch',
      // kafkajs wants its Encoder: of it, only `buf` and `buffer` are read.
      encode: async () => ({ buf: encoded, buffer: encoded }),
    },
    response: { decode: async (payload: Buffer) => decodeFetch(payload), parse: async (data: unknown) => data },
  })) as FetchedSet[];
}

/** In one buffer: kafkajs's encoder takes one of 511 bytes for each partition, dozens of times a second. */
function encodeFetch(fetch: RawFetch): Buffer {
  const { positions, maxWaitMs, minBytes = 1, maxBytes, maxBytesPerPartition, committedOnly = false } = fetch;
  const rack = Buffer.from(fetch.rack ?? '');
  const topics = byTopic(positions);
  const names = topics.map(({ topic }) => Buffer.from(topic));
  const topicBytes = names.reduce((sum, name) => sum + TOPIC_BYTES + name.length, 0);
  const request = Buffer.alloc(HEAD_BYTES + topicBytes + positions.length * PARTITION_BYTES + TAIL_BYTES + rack.length);
  let at = 0;
  const int32 = (value: number) => {
    at = request.writeInt32BE(value, at);
  };
  for (const value of [NONE, maxWaitMs, minBytes, maxBytes]) int32(value);
  at = request.writeInt8(committedOnly ? 1 : 0, at);
  // Without a fetch session.
  for (const value of [0, NONE, topics.length]) int32(value);
  for (const [index, { positions: ofTopic }] of topics.entries()) {
    const name = names[index] as Buffer;
    at = request.writeInt16BE(name.length, at);
    at += name.copy(request, at);
    int32(ofTopic.length);
    for (const { partition, offset } of ofTopic) {
      int32(partition);
      // Any leader epoch; the log start is of followers alone.
      int32(NONE);
      at = request.writeBigInt64BE(BigInt(offset), at);
      at = request.writeBigInt64BE(-1n, at);
      int32(maxBytesPerPartition);
    }
  }
  int32(0);
  at = request.writeInt16BE(rack.length, at);
  rack.copy(request, at);
  return request;
}

/** Neighbours of one topic share an entry; the order stays, as the broker fills its answer in it. */
function byTopic(positions: readonly FetchPosition[]): { topic: string; positions: FetchPosition[] }[] {
  const topics: { topic: string; positions: FetchPosition[] }[] = [];
  for (const position of positions) {
    const last = topics.at(-1);
    if (last?.topic === position.topic) last.positions.push(position);
    else topics.push({ topic: position.topic, positions: [position] });
  }
  return topics;
}

/** Skips throttle time and session of the head; then topics, each with a header and a set a partition. */
function decodeFetch(payload: Buffer): FetchedSet[] {
  const found: FetchedSet[] = [];
  const error = payload.readInt16BE(4);
  if (error !== 0) throw new Error(`Kafka refused a fetch with error ${error}`);
  let at = 10;
  const int32 = () => {
    at += 4;
    return payload.readInt32BE(at - 4);
  };
  const int64 = () => {
    at += 8;
    return payload.readBigInt64BE(at - 8);
  };
  for (let topics = int32(); topics > 0; topics--) {
    const nameAt = at + 2;
    at = nameAt + payload.readInt16BE(at);
    const topic = payload.toString('utf8', nameAt, at);
    for (let partitions = int32(); partitions > 0; partitions--) {
      const partition = int32();
      const partitionError = payload.readInt16BE(at);
      at += 2;
      const highWatermark = Number(int64());
      // The last stable offset and the log's start.
      at += 16;
      const aborted: AbortedTransaction[] = [];
      for (let left = int32(); left > 0; left--) aborted.push({ producerId: int64(), firstOffset: Number(int64()) });
      const preferred = int32();
      const bytes = int32();
      const records = bytes > 0 ? payload.subarray(at, at + bytes) : EMPTY;
      at += Math.max(bytes, 0);
      found.push({
        topic,
        partition,
        error: partitionError,
        highWatermark,
        aborted,
        preferredReplica: preferred < 0 ? undefined : preferred,
        records,
      });
    }
  }
  return found;
}
