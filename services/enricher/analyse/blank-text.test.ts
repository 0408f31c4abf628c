import { afterEach, describe, expect, it } from '@jest/globals';
import { ScriptedNlp } from '../../platform/testing/scripted-nlp.ts';
import { isBlank } from './blank-text.ts';
import { JsonProvider } from './provider/json.ts';
import { parseMapping } from './provider/json-mapping.ts';
import { AnalyserBench } from './testing/bench.ts';

describe('a blank text', () => {
  it.each([
    ['empty', ''],
    ['spaces and line ends', ' \t\r\n\u3000\u00a0'],
    ['zero-width characters', '\u200b\u200c\u200d\u2060\ufeff'],
    ['control characters', '\u0000\u0007\u007f\u0085'],
    ['an image’s place', ' \ufffc '],
    ['half a character', '\ud83d'],
    ['broken characters', '\ufffd\ufffd'],
    ['marks of direction and fillers', '\u200f\u202e\u3164\u115f'],
    ['a variation selector', '\ufe0f'],
  ])('is %s', (_what, text) => {
    expect(isBlank(text)).toBe(true);
  });

  it.each(['a', ' a ', '7', '?', '…', '😀', '\u200b👍\u200b', 'ا', '是', '́e', '\u0000x'])('is not %j', (text) => {
    expect(isBlank(text)).toBe(false);
  });
});

const MAPPING = {
  name: 'strict',
  path: '/batch',
  request: { body: { texts: '$documents' } },
  response: { results: '/results' },
  limits: { documents: 25, bytes: 100_000, text: { chars: 10, overlong: 'truncate' } },
  insight: { model: { value: 'strict/1' } },
};

describe('an API that refuses a whole batch for one blank text', () => {
  let api: ScriptedNlp;
  let bench: AnalyserBench;
  afterEach(async () => {
    await bench.close();
    await api.close();
  });

  it('is not asked for blank texts, nor for texts that are blank once they are cut to its limits', async () => {
    api = await ScriptedNlp.start(({ json }) => {
      const texts = json.texts as string[];
      if (texts.some((text) => text.trim() === '')) return { status: 400, body: { code: 'ValidationException' } };
      return { body: { results: texts.map(() => ({})) } };
    });
    const connection = { url: api.url, connections: 10, connectTimeoutMs: 1_000 };
    const provider = new JsonProvider(parseMapping(MAPPING, 'test'), connection, {});
    bench = new AnalyserBench({ url: api.url, provider, batches: { mode: 'on' } });
    const texts = ['', '   ', '\u200b', '\ufffc', `${' '.repeat(12)}hidden`, 'hello', '\u0000', 'you'];
    const analyses = await Promise.all(texts.map((text) => bench.analyse(text)));
    const blank = { kind: 'analysed', insight: { model: 'parley-blank/1', language: 'und' }, attempts: 0 };
    const real = { kind: 'analysed', insight: { model: 'strict/1' }, attempts: 1 };
    expect(analyses).toMatchObject([blank, blank, blank, blank, blank, real, blank, real]);
    expect(api.requests.map(({ json }) => json.texts)).toEqual([['hello', 'you']]);
  });
});
