import { createHash } from 'node:crypto';
import type { EpochMs } from '../../../core/brands.ts';
import { VERSION } from '../../../core/package-info.ts';
import type { Coordinates } from '../../../core/records.ts';
import type { DlqReason } from '../../../core/wire-codes.ts';
import type { FetchedRecord } from '../record.ts';
import type { OutgoingRecord } from './pending-record.ts';
import { RecordRefusedError } from './produce-answers.ts';

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
/** A longer key is left out of a stub as well: real ones are below 1 KiB. */
const MAX_STUB_KEY_BYTES = 4_096;
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

/**
 * The dead letter of a record: its bytes untouched, its own headers, and why it is there. The partition stays the same.
 * What is too large even for `chat.dlq` as Parley creates it becomes a stub: see {@link stubOf}.
 */
export function deadLetter(
  dlqTopic: string,
  record: FetchedRecord,
  at: Coordinates,
  why: DeadLetterFacts,
): OutgoingRecord {
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
  };
  addOwnHeaders(headers, record.headers);
  const letter = { topic: dlqTopic, partition: at.partition, key: record.key, value: record.value, headers };
  return (record.value?.length ?? 0) > MAX_VALUE_BYTES ? stubOf(letter) : letter;
}

/** The letter without the record's bytes, which were left out for their size: their hash and their length in their place. */
function stubOf({ key, value, headers, ...letter }: OutgoingRecord): OutgoingRecord {
  const bytes = value ?? Buffer.alloc(0);
  return {
    ...letter,
    key: Buffer.byteLength(key ?? '') > MAX_STUB_KEY_BYTES ? null : key,
    value: null,
    headers: {
      ...headers,
      'dlq-stub-sha256': createHash('sha256').update(bytes).digest('hex'),
      'dlq-stub-length': String(bytes.length),
    },
  };
}

/**
 * Sends a dead letter; as a stub where the topic does not take one of its size. A cluster of somebody else's may cap
 * records at 8 MiB or less, whatever Parley asked for.
 */
export async function sendDeadLetter(
  send: (record: OutgoingRecord) => Promise<void>,
  letter: OutgoingRecord,
): Promise<void> {
  try {
    await send(letter);
  } catch (error) {
    const isTooLarge = error instanceof RecordRefusedError && TOO_LARGE.has(error.code);
    if (!isTooLarge || 'dlq-stub-length' in (letter.headers ?? {})) throw error;
    await send(stubOf(letter));
  }
}

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
