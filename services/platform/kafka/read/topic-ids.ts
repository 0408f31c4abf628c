import type { TopicId } from '../../../core/brands.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalBroker, openCluster } from '../kafkajs/kafkajs-internals.ts';

/**
 * Topic ids come only with Metadata v12 (KIP-516), which kafkajs does not speak. Its request header is version 2, which
 * differs from the version 1 that kafkajs writes by one empty tag section before the body; likewise in the response.
 */
const METADATA_API_KEY = 3;
const METADATA_VERSION = 12;

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

function encodeRequest(topics: readonly string[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0, topics.length + 1])];
  for (const topic of topics) {
    const name = Buffer.from(topic);
    parts.push(Buffer.alloc(16), Buffer.from([name.length + 1]), name, Buffer.from([0]));
  }
  parts.push(Buffer.from([0, 0, 0]));
  return Buffer.concat(parts);
}

/** What the cluster calls itself and its topics; a topic that does not exist is left out. */
export interface ClusterIds {
  readonly clusterId: string;
  readonly topics: ReadonlyMap<string, TopicId>;
}

function decodeResponse(payload: Buffer): ClusterIds {
  const reader = new Reader(payload);
  reader.tags();
  reader.skip(4);
  reader.array(() => {
    reader.skip(4);
    reader.text();
    reader.skip(4);
    reader.text();
    reader.tags();
  });
  const clusterId = reader.text() ?? '';
  reader.skip(4);
  const topics = reader.array(() => {
    const error = reader.int16();
    const name = reader.text() ?? '';
    const topicId = reader.uuid() as TopicId;
    reader.skip(1);
    reader.array(() => {
      reader.skip(14);
      for (let list = 0; list < 3; list++) reader.array(() => reader.int32());
      reader.tags();
    });
    reader.skip(4);
    reader.tags();
    return { name, error, topicId };
  });
  const there = topics.filter(({ error }) => error === 0);
  return { clusterId, topics: new Map(there.map(({ name, topicId }) => [name, topicId])) };
}

export async function requestIds(broker: InternalBroker, topics: readonly string[]): Promise<ClusterIds> {
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
  })) as ClusterIds;
}

/** Kafka's own ids of topics, by name; a topic that does not exist is left out. */
export async function fetchTopicIds(kafka: Kafka, topics: readonly string[]): Promise<Map<string, TopicId>> {
  const cluster = openCluster(kafka);
  await cluster.connect();
  try {
    await cluster.refreshMetadata();
    return new Map((await requestIds(await cluster.findControllerBroker(), topics)).topics);
  } finally {
    await cluster.disconnect();
  }
}
