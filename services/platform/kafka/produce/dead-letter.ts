import { createHash } from 'node:crypto';
import type { EpochMs } from '../../../core/brands.ts';
import { VERSION } from '../../../core/package-info.ts';
import type { Coordinates } from '../../../core/records.ts';
import type { DlqReason } from '../../../core/wire-codes.ts';
import type { FetchedRecord } from '../record.ts';
import type { OutgoingRecord } from './pending-record.ts';

export interface DeadLetterFacts {
  readonly reason: DlqReason;
  /** What exactly was wrong, for a person; never message text. */
  readonly detail: string;
  /** How often it was tried. */
  readonly attempts: number;
  readonly firstFailedAt: EpochMs;
  readonly failedAt: EpochMs;
  readonly service: string;
}

/** Names and values together; what does not fit is cut, our own `dlq-` headers last. */
const MAX_HEADER_BYTES = 4_096;
const MAX_DETAIL_CHARS = 500;
/** Below `max.message.bytes` of chat.dlq (16 MiB) with room for headers and framing. */
const MAX_VALUE_BYTES = (16 << 20) - 65_536;

/**
 * The dead letter of a record: its bytes untouched, its own headers, and why it is there. The partition stays the same.
 * What is too large even for `chat.dlq` becomes a stub with the hash, the length and the coordinates.
 */
export function deadLetter(
  dlqTopic: string,
  record: FetchedRecord,
  at: Coordinates,
  why: DeadLetterFacts,
): OutgoingRecord {
  const tooLarge = (record.value?.length ?? 0) > MAX_VALUE_BYTES;
  const headers: Record<string, string | Buffer> = {
    'dlq-reason': why.reason,
    'dlq-detail': why.detail.slice(0, MAX_DETAIL_CHARS),
    'dlq-attempts': String(why.attempts),
    'dlq-first-failed-at': String(why.firstFailedAt),
    'dlq-failed-at': String(why.failedAt),
    'dlq-origin-topic': at.topic,
    'dlq-origin-topic-id': at.topic_id,
    'dlq-origin-partition': String(at.partition),
    'dlq-origin-offset': String(at.offset),
    'dlq-service': why.service,
    'dlq-version': VERSION,
    ...(tooLarge && record.value && stubHeaders(record.value)),
  };
  addOwnHeaders(headers, record.headers);
  return { topic: dlqTopic, partition: at.partition, key: record.key, value: tooLarge ? null : record.value, headers };
}

const stubHeaders = (value: Buffer) => ({
  'dlq-stub-sha256': createHash('sha256').update(value).digest('hex'),
  'dlq-stub-length': String(value.length),
});

function addOwnHeaders(headers: Record<string, string | Buffer>, own: FetchedRecord['headers']): void {
  const sizeOf = (name: string, value: string | Buffer) => Buffer.byteLength(name) + Buffer.byteLength(value);
  let bytes = Object.entries(headers).reduce((sum, [name, value]) => sum + sizeOf(name, value), 0);
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined || name in headers) continue;
    bytes += sizeOf(name, value);
    if (bytes > MAX_HEADER_BYTES) return;
    headers[name] = value;
  }
}
