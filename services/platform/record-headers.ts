import type { TopicId } from '../core/brands.ts';
import type { ChatOutcome, Coordinates } from '../core/records.ts';
import { TRACEPARENT, TRACESTATE } from './tracing/trace-context.ts';

/**
 * An outcome's identity stands in its headers as well as in its Avro, so that a receipt can be written for a record whose
 * value cannot be decoded, and so that readers can filter without decoding.
 */
const HEADER = {
  source: 'parley-source',
  origin: 'parley-origin',
  outcome: 'parley-outcome',
  revision: 'parley-revision',
  messageId: 'parley-message-id',
} as const;

/** On a record of `chat.events` and on its outcome: the session that wants the insight back; absent where none does. */
export const REPLY_TO_HEADER = 'parley-reply-to';

/** Headers of an event that every record made of it carries on. */
const PASSED_ON: ReadonlySet<string> = new Set([TRACEPARENT, TRACESTATE, REPLY_TO_HEADER]);

/** Puts what of `headers` is carried on into `onto`, and returns that. */
export function passOnHeaders(
  headers: Readonly<Record<string, Buffer | undefined>>,
  onto: Record<string, string | Buffer>,
): Record<string, string | Buffer> {
  // Most records have none, so that going through theirs is less work than looking for ours.
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && PASSED_ON.has(name)) onto[name] = value;
  }
  return onto;
}

export interface OutcomeIdentity {
  readonly source: Coordinates;
  readonly origin: Coordinates;
  readonly outcome: string;
  readonly revision: number;
  readonly messageId: string;
}

/** `<topic id>/<topic>/<partition>/<offset>`: neither ids nor topic names can hold a slash. */
const formatCoordinates = ({ topic_id, topic, partition, offset }: Coordinates): string =>
  `${topic_id}/${topic}/${partition}/${offset}`;

function parseCoordinates(text: string): Coordinates | undefined {
  const match = /^([\w-]{22})\/([\w.-]{1,249})\/(\d{1,9})\/(\d{1,16})$/.exec(text);
  if (!match) return undefined;
  const [, topicId, topic, partition, offset] = match as unknown as [string, string, string, string, string];
  return { topic_id: topicId as TopicId, topic, partition: Number(partition), offset: Number(offset) };
}

/** What of an outcome its headers are made of. */
type Identified = Pick<ChatOutcome, 'source' | 'origin' | 'outcome' | 'provisional' | 'revision' | 'message_id'>;

/** The names are written out: computed ones make the object several times as dear, and there is one for each message. */
export function outcomeHeaders(outcome: Identified): Record<string, string> {
  const source = formatCoordinates(outcome.source);
  const headers: Record<(typeof HEADER)[keyof typeof HEADER], string> = {
    'parley-source': source,
    'parley-origin': outcome.origin === outcome.source ? source : formatCoordinates(outcome.origin),
    'parley-outcome': outcome.provisional ? 'provisional' : outcome.outcome,
    'parley-revision': String(outcome.revision),
    'parley-message-id': encodeURIComponent(outcome.message_id),
  };
  return headers;
}

/** The identity that the headers give, or undefined when a part of it is missing or malformed. */
export function readOutcomeHeaders(headers: Readonly<Record<string, Buffer | undefined>>): OutcomeIdentity | undefined {
  const text = (name: string) => headers[name]?.toString('utf8') ?? '';
  const source = parseCoordinates(text(HEADER.source));
  const origin = parseCoordinates(text(HEADER.origin));
  const outcome = text(HEADER.outcome);
  const revision = text(HEADER.revision);
  if (!source || !origin || !/^[a-z_]{1,32}$/.test(outcome) || !/^\d{1,9}$/.test(revision)) return undefined;
  try {
    const messageId = decodeURIComponent(text(HEADER.messageId));
    return { source, origin, outcome, revision: Number(revision), messageId };
  } catch {
    // A percent sign that encodes nothing: not one of our headers.
    return undefined;
  }
}
