import { fetchRequestV11, type InternalBroker } from './kafkajs-internals.ts';

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

const READ_UNCOMMITTED = 0;
const CONSUMER = -1;
const EMPTY = Buffer.alloc(0);

/** Fetches without decoding: of the answer only the frame around the record sets is read (Fetch v11). */
export async function fetchRaw(
  broker: InternalBroker,
  { topic, positions, maxWaitMs, maxBytes }: RawFetch,
): Promise<FetchedSet[]> {
  const request = fetchRequestV11({
    replicaId: CONSUMER,
    isolationLevel: READ_UNCOMMITTED,
    maxWaitTime: maxWaitMs,
    minBytes: 1,
    maxBytes,
    topics: [
      {
        topic,
        partitions: positions.map(({ partition, offset }) => ({ partition, fetchOffset: String(offset), maxBytes })),
      },
    ],
  });
  return (await broker.connectionPool.send({
    request,
    response: { decode: async (payload: Buffer) => decodeFetch(payload), parse: async (data: unknown) => data },
  })) as FetchedSet[];
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
