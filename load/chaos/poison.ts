import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../services/platform/kafka/produce/batch-producer.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { Metrics } from '../../services/platform/metrics.ts';
import { PARTITIONS } from './system.ts';

/** Records an event of poison: all three kinds more than once. */
const POISON_RECORDS = 7;
const LARGE_BYTES = 200_000;
const UNKNOWN_SCHEMA_ID = 2_000_000_000;

/** Bytes on `chat.events` that are no event, each value unlike all others, so that it can be found again. */
export class Poison {
  readonly values: Buffer[] = [];
  readonly #producer: BatchProducer;
  readonly #sends: Promise<void>[] = [];
  readonly #topic = topicNames().events;

  private constructor(producer: BatchProducer) {
    this.#producer = producer;
  }

  static async connect(brokers: readonly string[]): Promise<Poison> {
    const log = createLogger('chaos', 'silent');
    const kafka = createKafka({ brokers: [...brokers], clientId: 'chaos-poison', log });
    return new Poison(await BatchProducer.connect(kafka, { log, metrics: new Metrics('chaos') }));
  }

  add(): void {
    for (let index = 0; index < POISON_RECORDS; index++) {
      const value = this.#next();
      const record = { topic: this.#topic, partition: this.values.length % PARTITIONS, key: null, value };
      this.values.push(value);
      const send = this.#producer.send(record);
      // `settled` reports the failure; a run that ends before does not wait for it.
      send.catch(() => {});
      this.#sends.push(send);
    }
  }

  /** Until Kafka has them all. */
  async settled(): Promise<void> {
    await Promise.all(this.#sends);
  }

  close(): Promise<void> {
    return this.#producer.close(1_000);
  }

  #next(): Buffer {
    const name = Buffer.from(`poison ${this.values.length}`);
    const unknownSchema = Buffer.alloc(5);
    unknownSchema.writeInt32BE(UNKNOWN_SCHEMA_ID, 1);
    const kinds = [name, Buffer.concat([unknownSchema, name]), Buffer.concat([name, Buffer.alloc(LARGE_BYTES, 'x')])];
    return kinds[this.values.length % kinds.length] ?? name;
  }
}
