import type { ChatCodec } from '../../services/platform/avro/codec.ts';
import type { Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../services/platform/kafka/read/cluster-view.ts';
import { LogReader } from '../../services/platform/kafka/read/log-reader.ts';

/** One outcome as the log has it. */
export interface LoggedOutcome {
  /** The number in the message's id. */
  readonly number: number;
  readonly outcome: string;
  readonly provisional: boolean;
  /** The source is a record of chat.replay: a further analysis of a message that had an outcome. */
  readonly replayed: boolean;
  readonly partition: number;
  /** Offset of the source record. */
  readonly offset: number;
  /** When Kafka appended the event and the outcome, and when the event was received; ms since the epoch. */
  readonly eventAtMs: number;
  readonly atMs: number;
  readonly receivedAtMs: number;
  readonly tenant: string;
}

/** How many records a topic got in all, since it was made. */
export async function countRecords(view: ClusterView, topic: string): Promise<number> {
  return (await view.logRanges(topic)).reduce((sum, { end }) => sum + end, 0);
}

/** All outcomes of a run, in the order of the log by partition. */
export async function readOutcomes(
  kafka: Kafka,
  codec: ChatCodec,
  topics: { readonly events: string; readonly enriched: string },
  brokers: readonly string[],
): Promise<LoggedOutcome[]> {
  const view = await ClusterView.connect(kafka, brokers);
  const reader = await LogReader.connect(kafka);
  const found: LoggedOutcome[] = [];
  try {
    const eventTimes = await timesOf(view, reader, topics.events);
    for (const { partition, start, end } of await view.logRanges(topics.enriched)) {
      for await (const records of reader.read(topics.enriched, partition, start, end)) {
        for (const { value, timestamp } of records) {
          const decoded = await codec.decodeOutcome(value);
          if (!decoded.ok) throw new Error(`an outcome cannot be decoded: ${decoded.detail}`);
          const { message_id, outcome, provisional, received_at, source, tenant_id } = decoded.value;
          found.push({
            number: Number(message_id.slice(1)),
            outcome,
            provisional,
            replayed: source.topic !== topics.events,
            partition,
            offset: source.offset,
            eventAtMs: eventTimes.get(partition)?.[source.offset] ?? Number.NaN,
            atMs: timestamp,
            receivedAtMs: received_at,
            tenant: tenant_id,
          });
        }
      }
    }
  } finally {
    await reader.close();
    await view.close();
  }
  return found;
}

/** By partition and offset. */
async function timesOf(view: ClusterView, reader: LogReader, topic: string): Promise<Map<number, number[]>> {
  const times = new Map<number, number[]>();
  for (const { partition, start, end } of await view.logRanges(topic)) {
    const ofPartition: number[] = [];
    for await (const records of reader.read(topic, partition, start, end)) {
      for (const { offset, timestamp } of records) ofPartition[offset] = timestamp;
    }
    times.set(partition, ofPartition);
  }
  return times;
}
