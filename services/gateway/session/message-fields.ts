import { type FinalNackCode, SPEAKERS } from '../../core/wire-codes.ts';
import type { Limits } from '../config.ts';

export interface FieldProblem {
  readonly code: FinalNackCode;
  /** The fault and the allowed values; the field's name is put before it. */
  readonly message: string;
}

export interface Field {
  readonly required: boolean;
  readonly check: (value: unknown, limits: Limits) => FieldProblem | undefined;
}

/** No honest clock is before 2001 or after 2100: such a value is in another unit. */
const [MIN_SENT_AT, MAX_SENT_AT] = [Date.UTC(2001, 0, 1), Date.UTC(2100, 0, 1) - 1];
const MAX_INT32 = 2_147_483_647;

const invalid = (found: string, allowed: string): FieldProblem => ({
  code: 'invalid_field',
  message: `${found}; allowed is ${allowed}`,
});

/** Characters are Unicode code points, as JSON Schema and most languages but JavaScript count them. */
function codePoints(value: string): number {
  let count = value.length;
  for (let i = 0; i < value.length; i++) {
    const isPair = (value.charCodeAt(i) & 0xfc00) === 0xd800 && (value.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) count--;
  }
  return count;
}

/** There are never more code points than UTF-16 units, so most strings need no counting. */
const isLonger = (value: string, maxChars: number) => value.length > maxChars && codePoints(value) > maxChars;

/** A value in words that never hold the value of a text, which may be private. */
function describe(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'is null';
  if (Array.isArray(value)) return 'is an array';
  if (typeof value === 'string') return `is a string of ${codePoints(value)} characters`;
  if (typeof value === 'object') return 'is an object';
  return `is ${value}`;
}

/** Unicode that every consumer can store: Avro and ClickHouse would change or refuse the rest. */
function unsafeUnicode(value: string): string | undefined {
  if (value.includes('\0')) return 'contains the character U+0000';
  if (!value.isWellFormed()) return 'contains a lone surrogate';
  return undefined;
}

function stringProblem(value: unknown, minChars: number, maxChars: number): FieldProblem | undefined {
  const allowed = () => `a string of ${minChars} to ${maxChars} characters of valid Unicode without U+0000`;
  if (typeof value !== 'string') return invalid(describe(value), allowed());
  if (value.length < minChars || isLonger(value, maxChars)) return invalid(describe(value), allowed());
  const unsafe = unsafeUnicode(value);
  return unsafe ? invalid(unsafe, allowed()) : undefined;
}

function integerProblem(value: unknown, min: number, max: number, what: string): FieldProblem | undefined {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return undefined;
  return invalid(describe(value), `${what}, an integer from ${min} to ${max}`);
}

/** Units that clients send by mistake. */
const OTHER_UNITS = [
  { unit: 'seconds', toMs: (value: number) => value * 1_000 },
  { unit: 'microseconds', toMs: (value: number) => value / 1_000 },
  { unit: 'nanoseconds', toMs: (value: number) => value / 1_000_000 },
];

function sentAtProblem(value: unknown): FieldProblem | undefined {
  if (typeof value === 'number' && value >= MIN_SENT_AT && value <= MAX_SENT_AT) return undefined;
  const allowed = `milliseconds since the epoch, an integer from ${MIN_SENT_AT} to ${MAX_SENT_AT}`;
  if (typeof value !== 'number') return invalid(describe(value), allowed);
  const looksLike = OTHER_UNITS.find(({ toMs }) => toMs(value) >= MIN_SENT_AT && toMs(value) <= MAX_SENT_AT);
  return invalid(looksLike ? `is ${value}, which looks like ${looksLike.unit}` : describe(value), allowed);
}

function textProblem(value: unknown, limits: Limits): FieldProblem | undefined {
  const maxChars = limits.max_text_chars;
  if (typeof value !== 'string') return invalid(describe(value), 'a string, which may be empty');
  const unsafe = unsafeUnicode(value);
  if (unsafe) return invalid(unsafe, 'valid Unicode without U+0000');
  if (!isLonger(value, maxChars)) return undefined;
  return {
    code: 'text_too_long',
    message: `has ${codePoints(value)} characters; allowed are at most ${maxChars}`,
  };
}

function speakerProblem(value: unknown): FieldProblem | undefined {
  if ((SPEAKERS as readonly unknown[]).includes(value)) return undefined;
  const found = typeof value === 'string' ? `is ${JSON.stringify(value.slice(0, 40))}` : describe(value);
  return invalid(found, `one of ${SPEAKERS.join(', ')}`);
}

function metadataProblem(value: unknown, limits: Limits): FieldProblem | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return invalid(describe(value), 'an object whose values are strings, numbers, booleans or null');
  }
  const keys = Object.keys(value);
  if (keys.length > limits.max_metadata_entries) {
    return invalid(`has ${keys.length} keys`, `at most ${limits.max_metadata_entries} keys`);
  }
  for (const key of keys) {
    const keyProblem = stringProblem(key, 1, limits.max_metadata_key_chars);
    if (keyProblem) return { ...keyProblem, message: `has a key that ${keyProblem.message}` };
    const entry = (value as Record<string, unknown>)[key];
    if (entry === null) continue;
    const valueProblem = stringProblem(entry, 0, limits.max_metadata_value_chars);
    if (valueProblem) return { ...valueProblem, message: `under ${JSON.stringify(key)} ${valueProblem.message}` };
  }
  return undefined;
}

const identifier = (value: unknown, limits: Limits) => stringProblem(value, 1, limits.max_id_chars);
const label = (value: unknown, limits: Limits) => stringProblem(value, 0, limits.max_id_chars);

/** The fields of a `message` frame beside `type`, in the order in which they are checked. */
export const MESSAGE_FIELDS = {
  id: { required: true, check: identifier },
  conversation_id: { required: true, check: identifier },
  speaker: { required: true, check: speakerProblem },
  text: { required: true, check: textProblem },
  sent_at: { required: true, check: sentAtProblem },
  attempt: { required: false, check: (value) => integerProblem(value, 1, MAX_INT32, 'the number of this attempt') },
  user_id: { required: false, check: label },
  channel: { required: false, check: label },
  bot_version: { required: false, check: label },
  metadata: { required: false, check: metadataProblem },
} as const satisfies Record<string, Field>;

export type MessageField = keyof typeof MESSAGE_FIELDS;

/** Fields that a frame may carry to say whom it speaks for; they must agree with the token. */
export const CLAIM_FIELDS = { tenant_id: 'tenant', bot_id: 'bot' } as const;
