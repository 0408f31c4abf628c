import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import type { Kafka } from '../kafkajs/kafka.ts';

type Admin = ReturnType<Kafka['admin']>;

/** What a partition's log holds. */
export interface LogRange {
  readonly partition: number;
  /** The first offset that the log still holds. */
  readonly start: number;
  /** The offset that the next record will get. */
  readonly end: number;
}

const TRIES = 20;
const RETRY_MS = 250;

/**
 * The log of a topic by partition, ascending.
 *
 * kafkajs gives up at once where a leader has moved, and keeps what it believed of the leaders for minutes. Where an admin
 * is asked for a topic while it learns of another, it may know nothing of this one, and throws a TypeError. Both pass, so
 * it is asked again by an admin that knows nothing yet, for about five seconds.
 *
 * @throws whatever kafkajs threw last.
 */
export async function fetchLogRanges(kafka: Kafka, topic: string, admin?: Admin): Promise<LogRange[]> {
  for (let tried = admin ? 0 : 1; ; tried++) {
    try {
      return admin && tried === 0 ? await rangesOf(admin, topic) : await askAnew(kafka, topic);
    } catch (error) {
      if (!isPassing(error) || tried >= TRIES) throw error;
    }
    await delay(RETRY_MS);
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof kafkajs.KafkaJSProtocolError && error.retriable);

async function askAnew(kafka: Kafka, topic: string): Promise<LogRange[]> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await rangesOf(admin, topic);
  } finally {
    await admin.disconnect();
  }
}

async function rangesOf(admin: Admin, topic: string): Promise<LogRange[]> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets
    .map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }))
    .sort((a, b) => a.partition - b.partition);
}
