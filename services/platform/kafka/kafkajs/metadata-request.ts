import type { TopicId } from '../../../core/brands.ts';
import { ParleyError } from '../../../core/errors.ts';
import type { ClusterState, PartitionState, TopicState } from './cluster-state.ts';
import type { InternalBroker } from './kafkajs-internals.ts';

/**
 * Metadata v12 (KIP-516), which kafkajs does not speak: topic ids come with no earlier version, and here each topic and
 * each partition keeps its own error. Its request header is version 2, which differs from the version 1 that kafkajs
 * writes by one empty tag section before the body; likewise in the response.
 */
const METADATA_API_KEY = 3;
const METADATA_VERSION = 12;
/** The first release that speaks it; it speaks all else that Parley asks for. */
const OLDEST_KAFKA = '3.1';

class Reader {
  #at = 0;
  readonly #bytes: Buffer;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }
  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }
  skip(bytes: number): void {
    this.#at += bytes;
  }
  uvarint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#at++);
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
  }
  /** Compact nullable string: length + 1 as uvarint, 0 is null. */
  text(): string | null {
    const length = this.uvarint() - 1;
    if (length < 0) return null;
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
  uuid(): string {
    this.#at += 16;
    return this.#bytes.toString('base64url', this.#at - 16, this.#at);
  }
  array<T>(item: () => T): T[] {
    return Array.from({ length: Math.max(this.uvarint() - 1, 0) }, item);
  }
  tags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint();
      this.skip(this.uvarint());
    }
  }
}

/** Seven bits a byte; a topic's name has 249 characters at most, and we ask for four topics. */
const uvarint = (value: number): Buffer =>
  value < 0x80 ? Buffer.from([value]) : Buffer.from([(value & 0x7f) | 0x80, value >> 7]);

function encodeRequest(topics: readonly string[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0]), uvarint(topics.length + 1)];
  for (const topic of topics) {
    const name = Buffer.from(topic);
    parts.push(Buffer.alloc(16), uvarint(name.length + 1), name, Buffer.from([0]));
  }
  // No topic is created by asking, no list of rights, no tags.
  parts.push(Buffer.from([0, 0, 0]));
  return Buffer.concat(parts);
}

function decodeResponse(payload: Buffer): ClusterState {
  const reader = new Reader(payload);
  reader.tags();
  reader.skip(4);
  const nodes = reader.array(() => {
    const node = reader.int32();
    reader.text();
    reader.skip(4);
    reader.text();
    reader.tags();
    return node;
  });
  const clusterId = reader.text() ?? '';
  reader.skip(4);
  return { clusterId, nodes, topics: reader.array(() => topicState(reader)) };
}

function topicState(reader: Reader): TopicState {
  const error = reader.int16();
  const topic = reader.text() ?? '';
  const topicId = reader.uuid() as TopicId;
  reader.skip(1);
  const partitions = reader.array(() => partitionState(reader)).sort((a, b) => a.partition - b.partition);
  reader.skip(4);
  reader.tags();
  return { topic, topicId, error, partitions };
}

function partitionState(reader: Reader): PartitionState {
  const error = reader.int16();
  const partition = reader.int32();
  const leader = reader.int32();
  // The leader's epoch.
  reader.skip(4);
  const [replicas, inSync] = [reader.array(() => reader.int32()), reader.array(() => reader.int32())];
  // Replicas that are offline.
  reader.array(() => reader.int32());
  reader.tags();
  return { partition, error, leader, replicas, inSync };
}

/**
 * What a broker knows of these topics and no others. An error of a topic or partition stands there, and is not thrown.
 *
 * @throws {ParleyError} KAFKA_TOO_OLD; every service asks for metadata when it starts.
 */
export async function requestMetadata(broker: InternalBroker, topics: readonly string[]): Promise<ClusterState> {
  const { maxVersion } = broker.versions?.[METADATA_API_KEY] ?? { maxVersion: METADATA_VERSION };
  if (maxVersion < METADATA_VERSION) {
    const has = `the broker speaks metadata requests up to version ${maxVersion}`;
    throw new ParleyError('KAFKA_TOO_OLD', `${has}, Parley needs ${METADATA_VERSION}: Kafka ${OLDEST_KAFKA} or newer`);
  }
  const encoded = encodeRequest(topics);
  return (await broker.connectionPool.send({
    request: {
      apiKey: METADATA_API_KEY,
      apiVersion: METADATA_VERSION,
      apiName: 'Metadata',
      // kafkajs wants its Encoder: of it, only `buf` and `buffer` are read.
      encode: async () => ({ buf: encoded, buffer: encoded }),
    },
    response: { decode: async (payload: Buffer) => decodeResponse(payload), parse: async (data: unknown) => data },
  })) as ClusterState;
}
