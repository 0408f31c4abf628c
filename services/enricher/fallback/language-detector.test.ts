import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eld } from 'eld/extrasmall';
import fc from 'fast-check';
import { demoConversations } from '../../operator/demo/conversations.ts';
import { type LanguageDetector, loadLanguageDetector, readNgrams } from './language-detector.ts';
import { NgramTable, packNgrams } from './ngram-table.ts';

describe('NgramTable', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const name = fc.array(byte, { minLength: 1, maxLength: 6 }).map((units) => String.fromCharCode(...units));
  const scores = fc.dictionary(byte.map(String), byte, { minKeys: 1, maxKeys: 60 });

  it('says of every n-gram what it was packed with, and of all others nothing', () => {
    fc.assert(
      fc.property(
        fc.dictionary(name, scores),
        fc.array(fc.string({ unit: 'binary', maxLength: 6 })),
        (ngrams, others) => {
          const table = new NgramTable(packNgrams(ngrams));
          for (const [known, expected] of Object.entries(ngrams)) expect(table.scoresOf(known)).toEqual(expected);
          for (const other of others) if (!Object.hasOwn(ngrams, other)) expect(table.scoresOf(other)).toBeUndefined();
        },
      ),
    );
  });

  it.each([
    ['a character', { ā: { 1: 2 } }],
    ['a score', { a: { 1: 256 } }],
    ['a fraction', { a: { 1: 0.5 } }],
    ['a language', { a: { 256: 1 } }],
    ['a name', { ['x'.repeat(256)]: { 1: 1 } }],
  ])('refuses %s that is no byte', (_, ngrams) => {
    expect(() => packNgrams(ngrams)).toThrow(RangeError);
  });
});

describe('the language detector', () => {
  let detector: LanguageDetector;
  beforeAll(async () => {
    detector = await loadLanguageDetector();
  });

  const ofBoth = (text: string) =>
    [detector, eld].map((each) => {
      const result = each.detect(text);
      return { language: result.language, scores: result.getScores(), reliable: result.isReliable() };
    });

  it('has all that eld has', async () => {
    const { ngrams } = await readNgrams();
    const table = new NgramTable(packNgrams(ngrams));
    const differing = Object.entries(ngrams).filter(
      ([name, scores]) => !isDeepStrictEqual(table.scoresOf(name), scores),
    );
    expect(differing).toEqual([]);
    expect(Object.keys(ngrams).length).toBeGreaterThan(40_000);
  });

  it('answers as eld does', () => {
    const turns = demoConversations(1)
      .take(300)
      .flatMap(({ messages }) => messages.map(({ text }) => text));
    for (const text of turns) {
      const [ours, theirs] = ofBoth(text);
      expect(ours).toEqual(theirs);
    }
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (text) => {
        const [ours, theirs] = ofBoth(text);
        expect(ours).toEqual(theirs);
      }),
    );
  });
});
