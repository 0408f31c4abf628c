import type { ChatEvent } from '../core/records.ts';
import { SPEAKERS } from '../core/wire-codes.ts';

/** Well above the gateway's limits: what is longer did not come through it. */
export const MAX_TEXT_CHARS = 65_536;
export const MAX_ID_CHARS = 512;
const MAX_METADATA_CHARS = 65_536;
/** 2000-01-01 and 2100-01-01: outside there are broken clocks and other units, and ClickHouse's DateTime64 ends in 2299. */
export const MIN_TIME_MS = 946_684_800_000;
export const MAX_TIME_MS = 4_102_444_800_000;

const isTime = (value: number) => value >= MIN_TIME_MS && value <= MAX_TIME_MS;

/**
 * What is wrong with an event that decodes, or undefined. The gateway lets none of it through; other producers may.
 *
 * @returns one sentence for the dead letter, naming the field and what is allowed; never the value.
 */
export function faultOf(event: ChatEvent, isReplay: boolean): string | undefined {
  for (const field of ['message_id', 'tenant_id', 'bot_id', 'conversation_id'] as const) {
    const { length } = event[field];
    if (length === 0 || length > MAX_ID_CHARS)
      return `${field} has ${length} characters; allowed are 1 to ${MAX_ID_CHARS}`;
  }
  if (event.text.length > MAX_TEXT_CHARS) {
    return `text has ${event.text.length} characters; allowed are ${MAX_TEXT_CHARS}`;
  }
  if (!(SPEAKERS as readonly string[]).includes(event.speaker)) return `speaker is none of ${SPEAKERS.join(', ')}`;
  for (const field of ['sent_at', 'received_at', 'deadline_at'] as const) {
    if (!isTime(event[field])) return `${field} is outside the years 2000 to 2100 in milliseconds since the epoch`;
  }
  let metadataChars = 0;
  for (const [key, value] of event.metadata) metadataChars += key.length + value.length;
  if (metadataChars > MAX_METADATA_CHARS)
    return `metadata has ${metadataChars} characters; allowed are ${MAX_METADATA_CHARS}`;
  if (isReplay && (event.origin === null || event.supersedes === null)) {
    return 'origin and supersedes must be set on a replayed event';
  }
  if (!isReplay && event.supersedes !== null) return 'supersedes must be null on chat.events';
  return undefined;
}
