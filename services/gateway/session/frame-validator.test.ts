import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readConfig } from '../../core/config.ts';
import { FINAL_NACK_CODES } from '../../core/wire-codes.ts';
import { LIMITS_SPEC, limitsOf } from '../config.ts';
import { type FrameCheck, type Refusal, validateFrame } from './frame-validator.ts';
import { MESSAGE_FIELDS } from './message-fields.ts';

const limits = limitsOf(readConfig(LIMITS_SPEC, {}));
const identity = { tenant: 'acme', bot: 'helper' };
const good = {
  type: 'message',
  id: 'm1',
  conversation_id: 'c1',
  speaker: 'user',
  text: 'Where is my parcel?',
  sent_at: 1_790_000_000_000,
};
const NUL = String.fromCharCode(0);
const LONE_SURROGATE = String.fromCharCode(0xd800);

const validate = (frame: unknown, textTooLong: 'refuse' | 'truncate' = 'refuse'): FrameCheck =>
  validateFrame(typeof frame === 'string' ? frame : JSON.stringify(frame), { limits, textTooLong }, identity);

function refusal(frame: unknown): Refusal {
  const check = validate(frame);
  if (check.kind !== 'refused') throw new Error(`accepted: ${JSON.stringify(frame)}`);
  return check;
}

function accepted(frame: unknown) {
  const check = validate(frame);
  if (check.kind !== 'message') throw new Error(`refused: ${JSON.stringify(check)}`);
  return check.message;
}

describe('validateFrame', () => {
  it('takes a frame with required fields alone, and one with all', () => {
    expect(accepted(good)).toEqual({
      id: 'm1',
      conversationId: 'c1',
      speaker: 'user',
      text: 'Where is my parcel?',
      sentAt: 1_790_000_000_000,
      attempt: 1,
      userId: null,
      channel: null,
      botVersion: null,
      metadata: new Map(),
    });
    const full = { ...good, attempt: 3, user_id: 'u', channel: 'web', bot_version: '2', metadata: { k: 'v', l: '' } };
    expect(accepted({ ...full, tenant_id: 'acme', bot_id: 'helper', later: { than: 'us' } })).toMatchObject({
      attempt: 3,
      userId: 'u',
      channel: 'web',
      botVersion: '2',
      metadata: new Map([
        ['k', 'v'],
        ['l', ''],
      ]),
    });
    expect(accepted({ ...good, attempt: null, user_id: null, metadata: null, tenant_id: null }).attempt).toBe(1);
  });

  it.each([
    ['no JSON', 'malformed', 'hello'],
    ['nothing', 'malformed', ''],
    ['JSON that is cut', 'malformed', '{"type":"message"'],
    ['an array', 'malformed', [good]],
    ['a number', 'malformed', 7],
    ['null', 'malformed', null],
    ['a string', 'malformed', '"message"'],
    ['no type', 'invalid_field', {}],
    ['a type that is a number', 'invalid_field', { type: 1 }],
    ['an unknown type', 'unknown_type', { type: 'subscribe' }],
    ['a type that is in every object', 'unknown_type', { type: 'constructor' }],
    ['a message without id', 'invalid_field', { ...good, id: undefined }],
  ])('answers %s by an error with %s', (_, code, frame) => {
    expect(refusal(frame)).toMatchObject({ id: undefined, code });
  });

  const long = (length: number) => 'x'.repeat(length);
  it.each([
    ['id', { id: 1.5 }],
    ['id', { id: true }],
    ['id', { id: '' }],
    ['id', { id: long(129) }],
    ['id', { id: NUL }],
    ['id', { id: LONE_SURROGATE }],
    ['conversation_id', { conversation_id: undefined }],
    ['conversation_id', { conversation_id: null }],
    ['conversation_id', { conversation_id: long(129) }],
    ['conversation_id', { conversation_id: `a${NUL}` }],
    ['speaker', { speaker: 'User' }],
    ['speaker', { speaker: ['user'] }],
    ['speaker', { speaker: '__proto__' }],
    ['text', { text: undefined }],
    ['text', { text: 12 }],
    ['text', { text: `a${NUL}b` }],
    ['sent_at', { sent_at: undefined }],
    ['sent_at', { sent_at: '2026-11-28T20:00:00Z' }],
    ['sent_at', { sent_at: 0 }],
    ['sent_at', { sent_at: -1 }],
    ['sent_at', { sent_at: 9_007_199_254_740_991 }],
    ['sent_at', { sent_at: true }],
    ['attempt', { attempt: 0 }],
    ['attempt', { attempt: 2 ** 31 }],
    ['attempt', { attempt: '2' }],
    ['user_id', { user_id: [9] }],
    ['user_id', { user_id: long(129) }],
    ['channel', { channel: {} }],
    ['bot_version', { bot_version: NUL }],
    ['metadata', { metadata: [] }],
    ['metadata', { metadata: 'k=v' }],
    ['metadata', { metadata: { k: ['m'] } }],
    ['metadata', { metadata: { [LONE_SURROGATE]: 'v' } }],
    ['metadata', { metadata: { k: { l: 'm' } } }],
    ['metadata', { metadata: { k: NUL } }],
    ['metadata', { metadata: { [NUL]: 'v' } }],
    ['metadata', { metadata: { '': 'v' } }],
    ['metadata', { metadata: { [long(65)]: 'v' } }],
    ['metadata', { metadata: { k: long(1_025) } }],
    ['metadata', { metadata: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, 'v'])) }],
  ])('names %s, what was wrong and what is allowed (case %#)', (field, change) => {
    const { id, code, message } = refusal({ ...good, ...change });
    expect(code).toBe('invalid_field');
    expect(message).toMatch(new RegExp(`^${field} .*; allowed (is|are) .+`));
    expect(id).toBe(field === 'id' ? undefined : 'm1');
  });

  it('refuses every required field that is missing and none that is optional', () => {
    const full = { ...good, attempt: 1, user_id: 'u', channel: 'c', bot_version: 'v', metadata: {} };
    for (const [name, { required }] of Object.entries(MESSAGE_FIELDS)) {
      expect([name, validate({ ...full, [name]: undefined }).kind]).toEqual([name, required ? 'refused' : 'message']);
    }
  });

  it('counts a text in code points, up to the limit and not one above', () => {
    const emoji = '\u{1F600}';
    expect(accepted({ ...good, text: '' }).text).toBe('');
    expect(accepted({ ...good, text: emoji.repeat(8_192) }).text).toHaveLength(16_384);
    expect(refusal({ ...good, text: emoji.repeat(8_193) })).toMatchObject({
      id: 'm1',
      code: 'text_too_long',
      message: 'text has 8193 characters; allowed are at most 8192',
    });
    expect(refusal({ ...good, text: long(8_193) }).code).toBe('text_too_long');
  });

  it('takes ids, users and versions that are numbers as their digits, exactly', () => {
    const json = JSON.stringify(good);
    const with_ = (fields: string) => accepted(`${json.slice(0, -1)},${fields}}`);
    expect(with_('"id":77,"conversation_id":-5')).toMatchObject({ id: '77', conversationId: '-5' });
    const [a, b] = ['9007199254740993', '9007199254740992'];
    expect([with_(`"id":${a}`).id, with_(`"id":${b}`).id]).toEqual([a, b]);
    const long = '123456789012345678901234567890';
    expect(with_(`"conversation_id":${long},"user_id":${long},"bot_version":3.10`)).toMatchObject({
      conversationId: long,
      userId: long,
      botVersion: '3.10',
    });
    // A number of the same name deeper in the frame changes nothing.
    expect(with_(`"id":${a},"later":{"id":9007199254740995}`).id).toBe(a);
    fc.assert(fc.property(fc.bigInt(), (id) => expect(with_(`"id":${id}`).id).toBe(String(id).slice(0, 128))));
  });

  it('takes metadata of numbers and booleans as text, and leaves out what is null', () => {
    const metadata = '{"age":31,"big":9007199254740993,"vip":true,"ref":null,"ok":"yes","__proto__":1}';
    const message = accepted(`${JSON.stringify(good).slice(0, -1)},"metadata":${metadata}}`);
    expect(Object.fromEntries(message.metadata)).toEqual(
      JSON.parse('{"age":"31","big":"9007199254740993","vip":"true","ok":"yes","__proto__":"1"}'),
    );
  });

  it('keeps half a character as U+FFFD, and says that it did', () => {
    const whole = validate({ ...good, user_id: LONE_SURROGATE, metadata: { k: `v${LONE_SURROGATE}` } });
    expect(whole).toMatchObject({ kind: 'message', repairs: ['lone_surrogate'], message: { userId: '\ufffd' } });
    expect(accepted({ ...good, text: `cut off ${LONE_SURROGATE}` }).text).toBe('cut off \ufffd');
    expect(validate(good)).toMatchObject({ repairs: [] });
  });

  it('skips a byte order mark', () => {
    expect(accepted(`\ufeff${JSON.stringify(good)}`).id).toBe('m1');
  });

  it('rounds a time with a fraction, takes one that is text, and names the unit of one that is none', () => {
    const sentAt = (sent_at: unknown) => accepted({ ...good, sent_at }).sentAt;
    expect([sentAt(1_790_000_000_000.25), sentAt('1790000000000'), sentAt('1790000000000.75')]).toEqual([
      1_790_000_000_000, 1_790_000_000_000, 1_790_000_000_001,
    ]);
    const told = (sent_at: unknown) => refusal({ ...good, sent_at }).message;
    expect(told(1_790_000_000)).toMatch(/^sent_at is 1790000000, which looks like seconds; allowed is milliseconds/);
    expect(told('1790000000')).toMatch(/which looks like seconds/);
    expect(told(1_790_000_000_000_000)).toMatch(/which looks like microseconds/);
    expect(told(1.79e18)).toMatch(/which looks like nanoseconds/);
  });

  it('keeps the beginning of a text that is too long where it is asked to, in whole characters and marked', () => {
    const check = validate({ ...good, text: `${'x'.repeat(8_191)}🦊🦊`, metadata: { k: 'v' } }, 'truncate');
    expect(check).toMatchObject({ kind: 'message', repairs: ['text_truncated'] });
    const { text, metadata } = check.kind === 'message' ? check.message : { text: '', metadata: new Map() };
    expect([text.slice(8_189), [...metadata]]).toEqual([
      'xx🦊',
      [
        ['k', 'v'],
        ['text_truncated', '8193'],
      ],
    ]);
    expect(validate({ ...good, text: '🦊'.repeat(8_192) }, 'truncate')).toMatchObject({ repairs: [] });
  });

  it('takes a heartbeat for what it is', () => {
    expect([validate({ type: 'ping' }), validate({ type: 'pong', id: 1 })]).toEqual([
      { kind: 'ping' },
      { kind: 'pong' },
    ]);
  });

  it('never repeats a text in a refusal', () => {
    const { message } = refusal({ ...good, text: `secret${NUL}` });
    expect(message).not.toContain('secret');
  });

  it('forbids to speak for another tenant or bot', () => {
    expect(refusal({ ...good, tenant_id: 'rival' })).toMatchObject({ id: 'm1', code: 'forbidden' });
    expect(refusal({ ...good, bot_id: 'other' })).toMatchObject({ id: 'm1', code: 'forbidden' });
    expect(refusal({ ...good, bot_id: 7 })).toMatchObject({ id: 'm1', code: 'forbidden' });
  });

  it('holds a bound token to its conversation, user and speaker, and fills in the user', () => {
    const bound = { conversationId: 'c1', userId: 'u1', speaker: 'user' as const };
    const check = (change: object) =>
      validateFrame(JSON.stringify({ ...good, ...change }), { limits, textTooLong: 'refuse' }, { ...identity, bound });
    expect(check({})).toMatchObject({ kind: 'message', message: { conversationId: 'c1', userId: 'u1' } });
    expect(check({ user_id: 'u1' })).toMatchObject({ kind: 'message' });
    const foreign = { conversation_id: 'c2', user_id: 'u2', speaker: 'agent' };
    for (const [field, value] of Object.entries(foreign)) {
      const message = expect.stringMatching(`^${field} is not the one`) as unknown;
      expect(check({ [field]: value })).toMatchObject({ kind: 'refused', id: 'm1', code: 'forbidden', message });
    }
  });

  it('takes duplicate keys and __proto__ without harm', () => {
    const twice = `${JSON.stringify(good).slice(0, -1)},"text":"second","metadata":{"k":"1","k":"2","__proto__":"p"}}`;
    const message = accepted(twice);
    expect(message.text).toBe('second');
    expect([...message.metadata]).toEqual([
      ['k', '2'],
      ['__proto__', 'p'],
    ]);
    const polluting = `{"__proto__":{"speaker":"user"},${JSON.stringify({ ...good, speaker: undefined }).slice(1)}`;
    expect(refusal(polluting).message).toMatch(/^speaker is missing/);
    expect(refusal(`${JSON.stringify(good).slice(0, -1)},"metadata":{"__proto__":{"a":"b"}}}`).code).toBe(
      'invalid_field',
    );
    expect(({} as Record<string, unknown>)['speaker']).toBeUndefined();
  });

  it('never throws and always gives a code, whatever the text', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
    );
    fc.assert(
      fc.property(anything, (data) => {
        const { code, message } = refusal(data);
        expect(FINAL_NACK_CODES).toContain(code);
        expect(message).toMatch(/allowed/);
      }),
      { numRuns: 1_000 },
    );
  });

  it('accepts a message of any shape only when every field holds', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.string({ unit: 'binary', maxLength: 140 }),
      fc.constantFrom('user', 1, NUL, LONE_SURROGATE, '__proto__'),
      fc.dictionary(fc.string(), fc.string()),
    );
    const mostly = (good: fc.Arbitrary<unknown>) =>
      fc.oneof({ weight: 9, arbitrary: good }, { weight: 1, arbitrary: value });
    const frame = fc.record({
      id: mostly(fc.constant('m')),
      conversation_id: mostly(fc.constant('c')),
      speaker: mostly(fc.constant('bot')),
      text: mostly(fc.string({ unit: 'binary' })),
      sent_at: mostly(fc.integer({ min: 978_307_200_000, max: 4_102_444_799_999 })),
      metadata: mostly(fc.dictionary(fc.string({ minLength: 1 }), fc.string())),
      user_id: mostly(fc.constant(null)),
    });
    let taken = 0;
    fc.assert(
      fc.property(frame, (fields) => {
        const check = validate({ ...fields, type: 'message' });
        if (check.kind !== 'message') {
          expect(FINAL_NACK_CODES).toContain(check.kind === 'refused' && check.code);
          return;
        }
        taken += 1;
        const { message } = check;
        const strings = [message.id, message.conversationId, message.text, message.userId ?? ''];
        for (const text of [...strings, ...[...message.metadata].flat()]) {
          expect(text.isWellFormed() && !text.includes(NUL)).toBe(true);
        }
        expect(Number.isSafeInteger(message.sentAt)).toBe(true);
        expect(['user', 'bot', 'agent', 'system']).toContain(message.speaker);
      }),
      { numRuns: 1_500 },
    );
    expect(taken).toBeGreaterThan(50);
  });
});
