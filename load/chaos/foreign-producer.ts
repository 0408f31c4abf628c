import { eventually } from '../../services/core/testing/eventually.ts';
import { ChatCodec } from '../../services/platform/avro/codec.ts';
import { openRegistry } from '../../services/platform/avro/registry-access.ts';
import { createKafka, type Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { sendCompressed } from '../../services/platform/kafka/testing/compressed-batch.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { sampleEvent } from '../../services/platform/testing/sample-event.ts';
import { PARTITIONS } from './system.ts';

const RECORDS = 20;
const PATIENCE_MS = 60_000;

/** Somebody else's producer: valid events for chat.events in one batch, compressed by LZ4. */
export class ForeignProducer {
  /** Messages that Kafka has taken. */
  readonly ids = new Set<string>();
  readonly #kafka: Kafka;
  readonly #codec: ChatCodec;
  readonly #seed: number;
  #batches = 0;

  private constructor(kafka: Kafka, codec: ChatCodec, seed: number) {
    this.#kafka = kafka;
    this.#codec = codec;
    this.#seed = seed;
  }

  static async connect(brokers: readonly string[], registryUrl: string, seed: number): Promise<ForeignProducer> {
    const log = createLogger('chaos', 'silent');
    const kafka = createKafka({ brokers: [...brokers], clientId: 'chaos-foreign', log });
    const codec = await ChatCodec.connect({ registry: openRegistry(registryUrl), topicNames: topicNames() });
    return new ForeignProducer(kafka, codec, seed);
  }

  /** Sent again where the answer is lost: a message may stand in the log twice, and is counted once. */
  async send(): Promise<void> {
    const batch = this.#batches++;
    const ids = Array.from({ length: RECORDS }, (_, index) => `foreign-${this.#seed}-${batch}-${index}`);
    const messages = ids.map((message_id) => {
      const event = sampleEvent({
        message_id,
        tenant_id: 'foreign',
        bot_id: 'mirror',
        conversation_id: `foreign-${batch}`,
        text: `Where is parcel ${message_id}?`,
      });
      return { partition: batch % PARTITIONS, key: event.conversation_id, value: this.#codec.encodeEvent(event) };
    });
    await eventually(() => sendCompressed(this.#kafka, topicNames().events, 'lz4', messages), {
      timeoutMs: PATIENCE_MS,
    });
    for (const id of ids) this.ids.add(id);
  }
}
