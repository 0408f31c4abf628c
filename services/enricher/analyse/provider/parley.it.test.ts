import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stack } from '../../../local/testing/stack.ts';
import { AnalyserBench } from '../testing/bench.ts';

/** The real reference service, as every other test of this run uses it. */
let bench: AnalyserBench;

beforeAll(() => {
  bench = new AnalyserBench({ url: stack().nlpUrl, batches: { mode: 'on', maxDocuments: 25 } });
});
afterAll(() => bench.close());

describe('the reference NLP API', () => {
  const texts = [
    'Thank you so much, this is great!',
    'Das ist eine Katastrophe, ich bin sehr enttäuscht.',
    '',
    '😀\u0000\u2028 "quoted" \\ \ud800',
    'x'.repeat(8_192),
    ...Array.from({ length: 40 }, (_, n) => `Where is my parcel ${n}?`),
  ];

  it('says of each text in a batch what it says of it alone', async () => {
    const together = await Promise.all(texts.map((text, n) => bench.analyse(text, { id: `m${n % 3}` })));
    const alone = new AnalyserBench({ url: stack().nlpUrl });
    for (const [n, text] of texts.slice(0, 8).entries()) {
      const analysis = together[n];
      // A blank text is answered here, without a call.
      expect(analysis).toMatchObject({ kind: 'analysed', attempts: text === '' ? 0 : 1 });
      const single = await alone.analyse(text, { id: 'single' });
      expect(analysis).toMatchObject({ insight: 'insight' in single ? single.insight : undefined });
    }
    expect(together.every(({ kind }) => kind === 'analysed')).toBe(true);
    expect(bench.calls.length).toBeLessThanOrEqual(4);
    expect(together[0]).toMatchObject({ insight: { language: 'en', sentiment_label: 'positive' } });
    expect(together[1]).toMatchObject({ insight: { language: 'de', sentiment_label: 'negative' } });
    await alone.close();
  });

  it('refuses one document, and answers its neighbours', async () => {
    const ids = ['good', 'x'.repeat(513), 'fine'];
    const analyses = await Promise.all(ids.map((id) => bench.analyse('Hello', { id })));
    expect(analyses.map(({ kind }) => kind)).toEqual(['analysed', 'rejected', 'analysed']);
  });
});
