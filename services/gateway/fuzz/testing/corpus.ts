import type { NackCode } from '../../../core/wire-codes.ts';

/** A text frame that must be answered with this code and disturb no other frame. */
export interface HostileText {
  readonly name: string;
  readonly text: string;
  readonly code: NackCode;
}

const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;
const good = { type: 'message', conversation_id: 'c', speaker: 'user', text: 'Hi', sent_at: 1_790_000_000_000 };
const withField = (name: string, json: string) =>
  `${JSON.stringify({ ...good, id: `fuzz-${name}` }).slice(0, -1)},${JSON.stringify(name)}:${json}}`;

/** JSON at its edges; the frames stay below 64 KiB. */
export const HOSTILE_TEXTS: readonly HostileText[] = [
  { name: 'nothing', text: '', code: 'malformed' },
  { name: 'a lone brace', text: '{', code: 'malformed' },
  { name: 'a NUL', text: '\0', code: 'malformed' },
  { name: 'a byte order mark', text: '\ufeff{}', code: 'invalid_field' },
  { name: 'two objects', text: '{}{}', code: 'malformed' },
  { name: 'a comment', text: '{/**/}', code: 'malformed' },
  { name: 'single quotes', text: "{'type':'message'}", code: 'malformed' },
  { name: 'NaN', text: '{"sent_at":NaN}', code: 'malformed' },
  { name: 'deep arrays', text: nested('[', ']', 30_000), code: 'malformed' },
  { name: 'deep objects', text: `{"a":${nested('{"a":', '}', 10_000)}}`, code: 'invalid_field' },
  { name: 'unclosed arrays', text: '['.repeat(60_000), code: 'malformed' },
  { name: 'a number', text: '1e999', code: 'malformed' },
  { name: 'null', text: 'null', code: 'malformed' },
  { name: 'a long type', text: `{"type":"${'x'.repeat(60_000)}"}`, code: 'unknown_type' },
  { name: 'the type of an answer', text: '{"type":"ack","ids":["m"]}', code: 'unknown_type' },
  { name: 'a type out of the prototype', text: '{"type":"constructor"}', code: 'unknown_type' },
  { name: 'a prototype', text: '{"__proto__":{"type":"message"}}', code: 'invalid_field' },
  { name: 'a huge time', text: withField('sent_at', '1e400'), code: 'invalid_field' },
  { name: 'a time of many digits', text: withField('sent_at', '9'.repeat(50_000)), code: 'invalid_field' },
  { name: 'a negative time', text: withField('sent_at', '-1e308'), code: 'invalid_field' },
  { name: 'a huge attempt', text: withField('attempt', '1e308'), code: 'invalid_field' },
  { name: 'an attempt of zero', text: withField('attempt', '-0'), code: 'invalid_field' },
  { name: 'deep metadata', text: withField('metadata', nested('{"a":', '}', 10_000)), code: 'invalid_field' },
  {
    name: 'much metadata',
    text: withField('metadata', JSON.stringify(Object.fromEntries(keys(4_000)))),
    code: 'invalid_field',
  },
  { name: 'a prototype in metadata', text: withField('metadata', '{"__proto__":{"a":"b"}}'), code: 'invalid_field' },
  { name: 'a text that is an object', text: withField('text', '{"toString":"x","length":1}'), code: 'invalid_field' },
  { name: 'a text of escapes', text: withField('text', `"${'\\u0000'.repeat(9_000)}"`), code: 'invalid_field' },
  { name: 'half a surrogate pair in an id', text: withField('id', '"\\ud83d"'), code: 'invalid_field' },
  { name: 'a long text', text: withField('text', `"${'x'.repeat(60_000)}"`), code: 'text_too_long' },
  { name: 'an id with a fraction', text: withField('id', '1.5'), code: 'invalid_field' },
  { name: 'an id with an exponent', text: withField('id', '1e30'), code: 'invalid_field' },
  { name: 'an id that is an array', text: withField('id', '["m"]'), code: 'invalid_field' },
  { name: 'another tenant', text: withField('tenant_id', '"rival"'), code: 'forbidden' },
  { name: 'another bot, as an object', text: withField('bot_id', '{}'), code: 'forbidden' },
];

function keys(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`k${i}`, 'v']);
}
