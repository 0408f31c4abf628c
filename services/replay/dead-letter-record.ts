import { type EpochMs, epochMs, type TopicId } from '../core/brands.ts';
import type { Coordinates } from '../core/records.ts';
import { DLQ_REASONS, type DlqReason } from '../core/wire-codes.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';

/** A record of `chat.dlq` by its headers (`platform/kafka/produce/dead-letter.ts` writes them); null for one that is missing. */
export interface DeadLetter {
  readonly partition: number;
  readonly offset: number;
  /** `unknown` for a record that Parley did not put there. */
  readonly reason: DlqReason | 'unknown';
  readonly detail: string | null;
  readonly attempts: number | null;
  readonly firstFailedAt: EpochMs | null;
  /** By the headers; of a foreign record, when it was produced. */
  readonly failedAt: EpochMs;
  readonly service: string | null;
  readonly version: string | null;
  /** The record that failed: its place in `chat.events`, `chat.replay` or `chat.enriched`. */
  readonly failedRecord: Coordinates | null;
  /** Set where the record was too large even for `chat.dlq`: its bytes are gone. */
  readonly stub: { readonly sha256: string; readonly length: number } | null;
  readonly record: FetchedRecord;
}

const textOf = ({ headers }: FetchedRecord, name: string): string | null => headers[name]?.toString('utf8') ?? null;

function numberOf(record: FetchedRecord, name: string): number | null {
  const text = textOf(record, name);
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Reads the `dlq-` headers; never fails: a header that cannot be read is null. */
export function readDeadLetter(partition: number, record: FetchedRecord): DeadLetter {
  const reason = DLQ_REASONS.find((known) => known === textOf(record, 'dlq-reason')) ?? 'unknown';
  const firstFailedAt = numberOf(record, 'dlq-first-failed-at');
  const sha256 = textOf(record, 'dlq-stub-sha256');
  return {
    partition,
    offset: record.offset,
    reason,
    detail: textOf(record, 'dlq-detail'),
    attempts: numberOf(record, 'dlq-attempts'),
    firstFailedAt: firstFailedAt === null ? null : epochMs(firstFailedAt),
    failedAt: epochMs(numberOf(record, 'dlq-failed-at') ?? record.timestamp),
    service: textOf(record, 'dlq-service'),
    version: textOf(record, 'dlq-version'),
    failedRecord: failedRecordOf(record),
    stub: sha256 === null ? null : { sha256, length: numberOf(record, 'dlq-stub-length') ?? 0 },
    record,
  };
}

function failedRecordOf(record: FetchedRecord): Coordinates | null {
  const topic = textOf(record, 'dlq-origin-topic');
  const topicId = textOf(record, 'dlq-origin-topic-id');
  const partition = numberOf(record, 'dlq-origin-partition');
  const offset = numberOf(record, 'dlq-origin-offset');
  if (!topic || !topicId || partition === null || offset === null) return null;
  return { topic, topic_id: topicId as TopicId, partition, offset };
}

/** The headers that the record had before it failed: trace context and the like. */
export const ownHeaders = ({ record }: DeadLetter): Record<string, Buffer> =>
  Object.fromEntries(
    Object.entries(record.headers).flatMap(([name, value]) =>
      value === undefined || name.startsWith('dlq-') ? [] : [[name, value]],
    ),
  );
