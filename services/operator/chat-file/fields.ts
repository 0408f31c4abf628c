import { SPEAKERS, type Speaker } from '../../core/wire-codes.ts';
import { isObject } from './json-value.ts';

/** A value that names something: text, or a number as its digits. */
export function asName(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The first field of these names that names something. */
export function nameIn(record: Readonly<Record<string, unknown>>, fields: readonly string[]): string | undefined {
  for (const field of fields) {
    const name = asName(record[field]);
    if (name !== undefined) return name;
  }
  return undefined;
}

const TEXT_FIELDS = ['text', 'value', 'body', 'content'] as const;

/**
 * The text of a value, in the forms that exports know: text; a list of parts (`{"type":"text","text":"…"}`), each on a line
 * of its own; a list of text and entities (Telegram), which are one line; an object around one of these. Parts that are no
 * text are skipped.
 */
export function asText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) {
    const parts = value.map(asText).filter((part) => part !== undefined);
    if (parts.length === 0) return undefined;
    return parts.join(value.some((part) => typeof part === 'string') ? '' : '\n');
  }
  if (!isObject(value)) return undefined;
  for (const field of TEXT_FIELDS) if (field in value) return asText(value[field]);
  return undefined;
}

const DECIMAL = /^\d{1,19}(\.\d+)?$/;
const ISO = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)?\s*(UTC|Z|[+-]\d{2}(:?\d{2})?)?$/i;
/** `Tue, 3 Feb 2026 04:05:06 GMT`, as mail writes it. */
const MAIL = /^([a-z]{3}, )?\d{1,2} [a-z]{3} \d{4} \d{2}:\d{2}/i;

/** Units by size: a time after March 1973 in one unit is before it in the next smaller one. */
const UNITS = [
  { below: 1e11, toMs: (value: number) => value * 1_000 },
  { below: 1e14, toMs: (value: number) => value },
  { below: 1e17, toMs: (value: number) => value / 1_000 },
  { below: 1e20, toMs: (value: number) => value / 1_000_000 },
];

/**
 * Milliseconds since the epoch of seconds, milliseconds, micro- or nanoseconds, also as text (Slack's `1790000000.000400`), or
 * of an ISO 8601 time. Without an offset it is this machine's local time, as exports write it; `TZ` changes it.
 */
export function asTime(value: unknown): number | undefined {
  if (typeof value === 'number') {
    const unit = value >= 0 ? UNITS.find(({ below }) => value < below) : undefined;
    return unit && Math.round(unit.toMs(value));
  }
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  if (DECIMAL.test(text)) return asTime(Number(text));
  const parsed = ISO.test(text) ? Date.parse(isoOf(text)) : MAIL.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** The form that JavaScript reads: `T` between, a point before the fraction, `+02:00`; a date alone is midnight here. */
function isoOf(text: string): string {
  const [, day = '', clock = '00:00', zone = ''] =
    /^(\d{4}-\d{2}-\d{2})(?:[T ]([\d:.,]+))?\s*(\D.*)?$/i.exec(text) ?? [];
  const offset = /^(UTC|Z)$/i.test(zone)
    ? 'Z'
    : zone.replace(/^([+-]\d{2}):?(\d{2})?$/, (_, h, m = '00') => `${h}:${m}`);
  return `${day}T${clock.replace(',', '.')}${offset}`;
}

/** What half the world calls them; null for what is no message of anybody in the conversation. */
const SYNONYMS: Readonly<Record<string, Speaker | null>> = {
  ...Object.fromEntries(SPEAKERS.map((speaker) => [speaker, speaker])),
  ...named(
    'user',
    'customer',
    'human',
    'client',
    'visitor',
    'contact',
    'lead',
    'guest',
    'prompter',
    'end_user',
    'end-user',
  ),
  ...named('bot', 'assistant', 'ai', 'gpt', 'model', 'chatbot', 'robot'),
  ...named('agent', 'admin', 'operator', 'staff', 'support', 'teammate', 'human_agent', 'representative', 'business'),
  ...named('system', 'developer'),
  ...named(null, 'tool', 'function', 'function_call', 'observation'),
};

function named(speaker: Speaker | null, ...names: string[]): Record<string, Speaker | null> {
  return Object.fromEntries(names.map((name) => [name, speaker]));
}

/** Parley's word for a speaker; null for tools, undefined for a word that is not known. Case does not matter. */
export const speakerOf = (name: string): Speaker | null | undefined => {
  const key = name.trim().toLowerCase();
  return Object.hasOwn(SYNONYMS, key) ? SYNONYMS[key] : undefined;
};

/** The gateway's default bounds: what is beyond them would cost the whole message. */
const [MAX_KEYS, MAX_KEY_CHARS, MAX_VALUE_CHARS] = [32, 64, 1_024];

export interface Metadata {
  readonly kept: Readonly<Record<string, string>>;
  /** Keys that no message may carry: too many, too long. */
  readonly leftOut: number;
}

/** Metadata as text: numbers and booleans as written, objects and lists as JSON, null not at all; a list or text under `value`. */
export function asMetadata(value: unknown): Metadata {
  const entries = isObject(value) ? Object.entries(value) : [['value', value] as const];
  const kept: [string, string][] = [];
  let leftOut = 0;
  for (const [key, entry] of entries) {
    if (entry === null || entry === undefined) continue;
    const text = typeof entry === 'object' ? JSON.stringify(entry) : String(entry);
    const fits = kept.length < MAX_KEYS && key !== '' && key.length <= MAX_KEY_CHARS && text.length <= MAX_VALUE_CHARS;
    if (fits && !`${key}${text}`.includes('\0') && key.isWellFormed()) kept.push([key, text]);
    else leftOut += 1;
  }
  return { kept: Object.fromEntries(kept), leftOut };
}
