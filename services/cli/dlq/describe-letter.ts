import type { ChatEvent } from '../../core/records.ts';
import { formatTable } from '../../operator/text-table.ts';
import type { ReadLetter } from '../../replay/dead-letters.ts';

export interface LetterDetail {
  /** Message text and metadata, which only who asks for them gets to see. */
  readonly text: boolean;
  readonly bytes: boolean;
}

/** One dead letter for `parley dlq show`. Times are ms since the epoch; bytes are base64. */
export function letterDocument({ letter, event, problem }: ReadLetter, detail: LetterDetail): Record<string, unknown> {
  const { record, stub, failedRecord } = letter;
  return {
    partition: letter.partition,
    offset: letter.offset,
    reason: letter.reason,
    detail: letter.detail,
    attempts: letter.attempts,
    first_failed_at: letter.firstFailedAt,
    failed_at: letter.failedAt,
    service: letter.service,
    version: letter.version,
    failed_record: failedRecord,
    stub,
    headers: Object.fromEntries(
      Object.entries(record.headers).flatMap(([name, value]) => (value ? [[name, value.toString('utf8')]] : [])),
    ),
    key: record.key?.toString('utf8') ?? null,
    key_bytes: record.key?.length ?? 0,
    value_bytes: record.value?.length ?? 0,
    event: event && eventFields(event, detail.text),
    event_problem: problem,
    ...(detail.bytes && { value_base64: record.value?.toString('base64') ?? null }),
  };
}

function eventFields({ text, metadata, ...fields }: ChatEvent, withText: boolean): Record<string, unknown> {
  const sizes = { text_chars: text.length, metadata_keys: [...metadata.keys()] };
  return { ...fields, ...sizes, ...(withText && { text, metadata: Object.fromEntries(metadata) }) };
}

const isTime = (name: string) => name.endsWith('_at');
const show = (name: string, value: unknown): string => {
  if (value === null) return '-';
  if (isTime(name) && typeof value === 'number') return new Date(value).toISOString();
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** For people: one line a field, the event's and the headers indented below. */
export function describeLetter(document: Record<string, unknown>): string {
  const rows = Object.entries(document).flatMap(([name, value]) => {
    if ((name !== 'event' && name !== 'headers') || value === null) return [[name, show(name, value)]];
    const inner = Object.entries(value as object).map(([field, each]) => [`  ${field}`, show(field, each)]);
    return [[name, ''], ...inner];
  });
  return formatTable(['FIELD', 'VALUE'], rows);
}
