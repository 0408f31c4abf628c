import type { Speaker } from '../../core/wire-codes.ts';
import type { ChatLine } from '../chat-line.ts';
import { asMetadata, asName, asText, asTime, speakerOf } from './fields.ts';
import { isObject, type Json } from './json-value.ts';
import type { LeftOutReason } from './left-out.ts';
import type { Draft, Omission } from './shape.ts';

/** Parley's fields, to be read from other fields of a file. */
export const MAPPED_FIELDS = {
  id: 'id',
  conversation_id: 'conversation',
  speaker: 'speaker',
  text: 'text',
  sent_at: 'time',
  user_id: 'user',
  channel: 'channel',
  bot_version: 'version',
  metadata: 'metadata',
} as const satisfies Record<string, keyof Draft>;
export type MappedField = keyof typeof MAPPED_FIELDS;

export interface FinishOptions {
  /** Paths (`message.body`) by Parley's field. */
  readonly map: ReadonlyMap<MappedField, string>;
  /** Speakers by the file's word for them, in lower case. */
  readonly speakers: ReadonlyMap<string, Speaker>;
  /** A time that cannot be read is a reason to leave a message out only where times are sent. */
  readonly keepTimes: boolean;
}

/** With the run's id (at most 32 characters) before it an id stays within the gateway's default of 128. */
const MAX_ID_CHARS = 95;
/** A value of a file as it is quoted in a problem. */
const MAX_QUOTED = 40;

const omit = (reason: LeftOutReason, problem: string): Omission => ({ reason, problem });
const quote = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number'
    ? JSON.stringify(String(value).slice(0, MAX_QUOTED))
    : Array.isArray(value)
      ? 'a list'
      : `a value of type ${typeof value}`;

/** A message in Parley's form, or why it is left out. @param metadataLeftOut is called with the number of keys. */
export function finish(
  given: Draft,
  options: FinishOptions,
  metadataLeftOut: (keys: number) => void,
): ChatLine | Omission {
  const draft = mapped(given, options.map);
  const conversation = asName(draft.conversation);
  if (conversation === undefined) {
    return omit('no_conversation', 'has no "conversation_id"; --map conversation_id=FIELD names another field');
  }
  const speaker = speakerIn(draft, options.speakers);
  if (typeof speaker !== 'string') return speaker;
  const text = asText(draft.text);
  if (text === undefined) {
    return omit('no_text', isAbsent(draft) ? 'has no "text"; --map text=FIELD names another field' : 'holds no text');
  }
  const id = asName(draft.id);
  if (id === undefined || id.length > MAX_ID_CHARS || !id.isWellFormed() || id.includes('\0')) {
    return omit('bad_id', `has an "id" that is no number and no string of 1 to ${MAX_ID_CHARS} characters`);
  }
  const sentAt = draft.time === undefined || draft.time === null ? null : asTime(draft.time);
  if (sentAt === undefined && options.keepTimes) {
    return omit('bad_time', `has the time ${quote(draft.time)}; allowed are ISO 8601 and numbers since the epoch`);
  }
  return {
    id,
    conversation_id: conversation,
    speaker,
    text,
    sent_at: sentAt ?? null,
    ...beside(draft, metadataLeftOut),
  };
}

/** No field at all is a mistake in the mapping; an empty one is a message without text. */
const isAbsent = ({ text }: Draft): boolean => text === undefined;

function beside(draft: Draft, metadataLeftOut: (keys: number) => void): Partial<ChatLine> {
  const [user, channel, version] = [asName(draft.user), asName(draft.channel), asName(draft.version)];
  const { kept, leftOut } = asMetadata(draft.metadata);
  if (leftOut > 0) metadataLeftOut(leftOut);
  return {
    ...(user !== undefined && { user_id: user }),
    ...(channel !== undefined && { channel }),
    ...(version !== undefined && { bot_version: version }),
    ...(Object.keys(kept).length > 0 && { metadata: kept }),
  };
}

function speakerIn(draft: Draft, speakers: FinishOptions['speakers']): Speaker | Omission {
  for (const name of [draft.speaker, ...(draft.names ?? [])]) {
    const word = asName(name);
    const given = word === undefined ? undefined : speakers.get(word.toLowerCase());
    if (given) return given;
  }
  if (draft.role) return draft.role;
  const word = asName(isObject(draft.speaker) ? (draft.speaker['role'] ?? draft.speaker['name']) : draft.speaker);
  if (word === undefined) return omit('no_speaker', 'has no "speaker"; --map speaker=FIELD names another field');
  const known = speakerOf(word);
  if (known === null) return omit('not_a_message', `is of the role ${quote(word)}`);
  return (
    known ??
    omit(
      'unknown_speaker',
      `has the speaker ${quote(word)}; allowed are user, bot, agent and system; --speaker ${quote(word)}=user says which it is`,
    )
  );
}

function mapped(draft: Draft, map: FinishOptions['map']): Draft {
  if (map.size === 0) return draft;
  const values = [...map].map(([field, path]) => [MAPPED_FIELDS[field], valueAt(draft.raw, path)] as const);
  const { role, ...rest } = draft;
  return { ...rest, ...(role && !map.has('speaker') && { role }), ...Object.fromEntries(values) };
}

/** A field, or a field of a field: `message.body`. A name with a dot in it is taken first. */
function valueAt(record: Json, path: string): unknown {
  if (Object.hasOwn(record, path)) return record[path];
  const dot = path.indexOf('.');
  const inner = dot < 0 ? undefined : record[path.slice(0, dot)];
  return isObject(inner) ? valueAt(inner, path.slice(dot + 1)) : undefined;
}
