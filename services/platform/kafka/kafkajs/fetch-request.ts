import type { InternalBroker } from './kafkajs-internals.ts';

interface PartitionPosition {
  readonly partition: number;
  readonly offset: number;
}

/** What a broker has of one partition: its record set as it lies on the broker's disk, to be scanned or decoded. */
export interface FetchedSet {
  readonly partition: number;
  /** Kafka's error code; 0 is none. */
  readonly error: number;
  readonly records: Buffer;
}

export interface RawFetch {
  readonly topic: string;
  readonly positions: readonly PartitionPosition[];
  readonly maxWaitMs: number;
  readonly maxBytes: number;
}

const FETCH_API_KEY = 1;
const FETCH_VERSION = 11;
const MIN_BYTES = 1;
const NONE = -1;
const EMPTY = Buffer.alloc(0);
/** Before the topic's name: replica, wait, least and most bytes, isolation, session id and epoch, one topic. */
const HEAD_BYTES = 29;
const PARTITION_BYTES = 28;

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
function encodeFetch({ topic, positions, maxWaitMs, maxBytes }: RawFetch): Buffer {
  const name = Buffer.from(topic);
  // Two lengths around the name, then after the partitions no forgotten topics and no rack.
  const request = Buffer.alloc(HEAD_BYTES + 2 + name.length + 4 + positions.length * PARTITION_BYTES + 4 + 2);
  let at = 0;
  const int32 = (value: number) => {
    at = request.writeInt32BE(value, at);
  };
  for (const value of [NONE, maxWaitMs, MIN_BYTES, maxBytes]) int32(value);
  // Read uncommitted, without a fetch session.
  at += 1;
  for (const value of [0, NONE, 1]) int32(value);
  at = request.writeInt16BE(name.length, at);
  at += name.copy(request, at);
  int32(positions.length);
  for (const { partition, offset } of positions) {
    int32(partition);
    // Any leader epoch; the log start is of followers alone.
    int32(NONE);
    at = request.writeBigInt64BE(BigInt(offset), at);
    at = request.writeBigInt64BE(-1n, at);
    int32(maxBytes);
  }
  return request;
}

/** Skips throttle time, error and session of the head; topics, which are one; then a header and a set a partition. */
function decodeFetch(payload: Buffer): FetchedSet[] {
  const found: FetchedSet[] = [];
  const error = payload.readInt16BE(4);
  if (error !== 0) throw new Error(`Kafka refused a fetch with error ${error}`);
  let at = 10;
  const int32 = () => {
    at += 4;
    return payload.readInt32BE(at - 4);
  };
  for (let topics = int32(); topics > 0; topics--) {
    at += 2 + payload.readInt16BE(at);
    for (let partitions = int32(); partitions > 0; partitions--) {
      const partition = int32();
      const partitionError = payload.readInt16BE(at);
      // The error, and three offsets: high watermark, last stable, log start.
      at += 2 + 24;
      const aborted = Math.max(int32(), 0);
      // Each a producer and an offset; then the preferred replica.
      at += aborted * 16 + 4;
      const bytes = int32();
      const records = bytes > 0 ? payload.subarray(at, at + bytes) : EMPTY;
      at += Math.max(bytes, 0);
      found.push({ partition, error: partitionError, records });
    }
  }
  return found;
}
