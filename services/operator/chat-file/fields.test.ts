import { describe, expect, it } from '@jest/globals';
import { asMetadata, asText, asTime, speakerOf } from './fields.ts';

describe('a time', () => {
  const at = Date.UTC(2026, 8, 21, 14, 13, 20, 123);
  it.each([
    [at, at],
    [at / 1_000, at],
    [at * 1_000, at],
    [at * 1_000_000, at],
    [String(at), at],
    ['1790000000.123456', at],
    ['2026-09-21T14:13:20.123Z', at],
    ['2026-09-21T16:13:20.123+02:00', at],
    ['2026-09-21 16:13:20,123 +0200', at],
    ['2026-09-21T16:13:20.123+02', at],
    ['2026-09-21 14:13:20.123 UTC', at],
    ['Mon, 21 Sep 2026 14:13:20 GMT', at - 123],
    ['2026-09-21T14:13:20.123', new Date(2026, 8, 21, 14, 13, 20, 123).getTime()],
    ['2026-09-21', new Date(2026, 8, 21).getTime()],
  ])('is read from %j', (value, expected) => {
    expect(asTime(value)).toBe(expected);
  });

  it.each(['today', '', 'item 5', '2026-13-45', -5, Number.NaN, true, null, {}, 1e21])(
    'is not read from %j',
    (value) => {
      expect(asTime(value)).toBeUndefined();
    },
  );
});

describe('a text', () => {
  it.each([
    ['a', 'a'],
    ['', ''],
    [5, '5'],
    [
      [
        { type: 'text', text: 'a' },
        { type: 'image_url', image_url: {} },
        { type: 'text', text: 'b' },
      ],
      'a\nb',
    ],
    [['see ', { type: 'link', text: 'example.org' }, '!'], 'see example.org!'],
    [[{ type: 'text', text: { value: 'a' } }], 'a'],
    [{ type: 'text', body: 'a' }, 'a'],
    [null, undefined],
    [[], undefined],
    [[{ type: 'image_url' }], undefined],
    [{}, undefined],
  ])('of %j is %j', (value, expected) => {
    expect(asText(value)).toBe(expected);
  });
});

it('a speaker is known by what half the world calls it, in any case', () => {
  expect(
    ['assistant', 'User', 'CUSTOMER', 'human', 'gpt', 'ai', 'Bot', 'operator', 'tool', 'x', 'constructor'].map(
      speakerOf,
    ),
  ).toEqual(['bot', 'user', 'user', 'user', 'bot', 'bot', 'bot', 'agent', null, undefined, undefined]);
});

describe('metadata', () => {
  it('of any kind becomes text, null is left out', () => {
    expect(asMetadata({ a: 'x', n: 31, b: true, o: { u: null }, l: [1], z: null })).toEqual({
      kept: { a: 'x', n: '31', b: 'true', o: '{"u":null}', l: '[1]' },
      leftOut: 0,
    });
    expect(asMetadata(['a', 'b'])).toEqual({ kept: { value: '["a","b"]' }, leftOut: 0 });
    expect(asMetadata(undefined)).toEqual({ kept: {}, leftOut: 0 });
  });

  it('beyond the bounds of a message loses those keys alone', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, 'v']));
    expect(asMetadata(many)).toMatchObject({ leftOut: 8 });
    expect(asMetadata({ ok: 'yes', long: 'x'.repeat(1_025), ['k'.repeat(65)]: 'v' })).toEqual({
      kept: { ok: 'yes' },
      leftOut: 2,
    });
  });
});
