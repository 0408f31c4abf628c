import { setTimeout as delay } from 'node:timers/promises';
import type { ChatCodec } from '../../services/platform/avro/codec.ts';
import type { Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../services/platform/kafka/produce/batch-producer.ts';
import type { Logger } from '../../services/platform/logger.ts';
import { Metrics } from '../../services/platform/metrics.ts';
import type { LoadEvent } from './messages.ts';

/** Records handed to the producer before waiting for acks. */
const CHUNK = 5_000;
const TICK_MS = 2;

/** Writes events to a topic: as fast as it goes, or by a schedule that does not wait for acks. */
export class EventSource {
  /** When each event sent so far was received, in their order. */
  readonly receivedAtMs: number[] = [];
  readonly #producer: BatchProducer;
  readonly #codec: ChatCodec;
  readonly #topic: string;
  readonly #events: Iterator<LoadEvent, void>;

  private constructor(producer: BatchProducer, codec: ChatCodec, topic: string, events: Iterator<LoadEvent, void>) {
    this.#producer = producer;
    this.#codec = codec;
    this.#topic = topic;
    this.#events = events;
  }

  static async connect(
    kafka: Kafka,
    options: { codec: ChatCodec; topic: string; events: Iterator<LoadEvent, void>; log: Logger },
  ): Promise<EventSource> {
    const producer = await BatchProducer.connect(kafka, {
      lingerMs: 2,
      maxBatchRecords: 2_000,
      log: options.log,
      metrics: new Metrics('bench'),
    });
    return new EventSource(producer, options.codec, options.topic, options.events);
  }

  async preload(count: number): Promise<void> {
    for (let sent = 0; sent < count; ) {
      const chunk = Math.min(CHUNK, count - sent);
      await Promise.all(Array.from({ length: chunk }, () => this.#send()));
      sent += chunk;
    }
  }

  /** `count` events at `ratePerS`, evenly; resolves when Kafka has acked all. */
  async pace(count: number, ratePerS: number, signal: AbortSignal): Promise<void> {
    const startedMs = performance.now();
    const acks: Promise<void>[] = [];
    while (acks.length < count && !signal.aborted) {
      const due = Math.min(count, Math.floor(((performance.now() - startedMs) * ratePerS) / 1_000));
      while (acks.length < due) acks.push(this.#send());
      await delay(TICK_MS);
    }
    await Promise.all(acks);
  }

  close(): Promise<void> {
    return this.#producer.close();
  }

  #send(): Promise<void> {
    const next = this.#events.next().value;
    if (!next) return Promise.reject(new Error('the source of conversations has ended'));
    const { event, key, partition } = next;
    this.receivedAtMs.push(event.received_at);
    return this.#producer.send({ topic: this.#topic, partition, key, value: this.#codec.encodeEvent(event) });
  }
}
