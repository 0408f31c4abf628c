import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { asObject, insightOf, parseJson } from './nlp-response.ts';

describe('insightOf', () => {
  const good = {
    id: 'm1',
    language: { code: 'de', confidence: 0.9 },
    sentiment: { label: 'negative', score: -0.4 },
    intent: { name: 'complaint', confidence: 0.7 },
    toxicity: { score: 0.1 },
    topics: ['delivery', 7, 'refund'],
    model: 'x/1',
  };

  it('reads an analysis', () => {
    expect(insightOf(good)).toEqual({
      language: 'de',
      language_confidence: 0.9,
      sentiment_label: 'negative',
      sentiment_score: -0.4,
      intent: 'complaint',
      intent_confidence: 0.7,
      toxicity_score: 0.1,
      topics: ['delivery', 'refund'],
      model: 'x/1',
    });
  });

  it.each([
    ['a label of its own', { ...good, sentiment: { label: 'meh', score: 0 } }],
    ['a score out of range', { ...good, sentiment: { label: 'neutral', score: 3 } }],
    ['a score that is text', { ...good, toxicity: { score: '0.1' } }],
    ['no intent', { ...good, intent: undefined }],
    ['no model', { ...good, model: '' }],
    ['a list of languages', { ...good, language: ['de'] }],
  ])('refuses %s', (_what, body) => {
    expect(insightOf(body)).toBeUndefined();
  });

  it('never throws, whatever the body', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        expect(insightOf(asObject(parseJson(body)) ?? {})).toBeUndefined();
      }),
    );
  });
});
