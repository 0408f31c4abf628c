import type { TopicId } from '../core/brands.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { ChatOutcome } from '../core/records.ts';
import type { Decoded } from '../platform/avro/codec.ts';
import type { OutgoingRecord } from '../platform/kafka/produce/batch-producer.ts';
import { deadLetter } from '../platform/kafka/produce/dead-letter.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { timeWithin } from './clamps.ts';
import { type LogEntry, toLogEntry } from './log-entry.ts';
import type { Layout } from './recovery.ts';

type DecodeOutcome = (value: Buffer | null) => Decoded<ChatOutcome> | Promise<Decoded<ChatOutcome>>;

export interface LogPlace {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
}

/**
 * A block touches at most this many months, and days of the message keys, so that with retractions of as many others it
 * stays below ClickHouse's 100 table partitions an insert. Normally it is one or two.
 */
const MAX_TABLE_PARTITIONS = 40;
const DAY_MS = 86_400_000;
/** Decoding goes on for a few milliseconds at a time, then lets heartbeats and the other partitions through. */
const SLICE_RECORDS = 500;

const monthOf = (ms: number): number => {
  const date = new Date(timeWithin(ms));
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
};

/** Decodes the records of one partition. */
export class BlockReader {
  readonly #decode: DecodeOutcome;
  readonly #at: LogPlace;

  constructor(decode: DecodeOutcome, at: LogPlace) {
    this.#decode = decode;
    this.#at = at;
  }

  /**
   * Reads on until the end, or until a block has its fill of months: there may be fewer entries than records.
   *
   * @throws RegistryUnavailableError (rejects) while a schema has to be looked up and the registry is away.
   */
  async read(records: readonly FetchedRecord[], layout: Layout): Promise<LogEntry[]> {
    const entries: LogEntry[] = [];
    const months = new Set<number>();
    const days = new Set<number>();
    for (const record of records) {
      const decoded = this.#decode(record.value);
      const here = { partition: this.#at.partition, layout };
      const entry = toLogEntry(record, decoded instanceof Promise ? await decoded : decoded, here);
      if (entry.kind === 'outcome' || entry.kind === 'gap') {
        months.add(monthOf(entry.outcome.sent_at)).add(monthOf(entry.outcome.enriched_at));
        days.add(Math.floor(timeWithin(entry.outcome.enriched_at) / DAY_MS));
        if (Math.max(months.size, days.size) > MAX_TABLE_PARTITIONS && entries.length > 0) break;
      }
      entries.push(entry);
      if (entries.length % SLICE_RECORDS === 0) await new Promise(setImmediate);
    }
    return entries;
  }

  /** Reads a block of before as it was read then: what was undecodable stays so. */
  async readAgain(
    records: readonly FetchedRecord[],
    layout: Layout,
    undecodableBefore: ReadonlySet<number>,
  ): Promise<LogEntry[]> {
    const here = { partition: this.#at.partition, layout };
    const entries: LogEntry[] = [];
    for (const record of records) {
      const decoded = undecodableBefore.has(record.offset)
        ? ({ ok: false, reason: 'undecodable', detail: 'as decided before' } as const)
        : await this.#decode(record.value);
      entries.push(toLogEntry(record, decoded, here));
    }
    return entries;
  }

  /** The dead letter of a record, byte for byte. */
  deadLetterOf(
    entry: Extract<LogEntry, { kind: 'undecodable' }>,
    dlqTopic: string,
    clock: Clock = systemClock,
  ): OutgoingRecord {
    const { topic, topicId, partition } = this.#at;
    const at = { topic, topic_id: topicId, partition, offset: entry.offset };
    return deadLetter(dlqTopic, entry.record, at, {
      reason: 'outcome_undecodable',
      detail: entry.detail,
      attempts: 1,
      firstFailedAt: clock.now(),
      failedAt: clock.now(),
      service: 'sink',
    });
  }
}
