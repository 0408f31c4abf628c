import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Insight } from '../../core/records.ts';
import { Fallback, type LocalModel } from './fallback.ts';
import { loadLocalModel } from './local-model.ts';

describe('Fallback', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const wanted = { stillWanted: () => true };

  /** A model that takes `costMs` of the clock, which only the test and the model move. */
  function bounded(costMs: number, cpuShare = 0.2) {
    let now = 0;
    let runs = 0;
    const model = (text: string): Insight => {
      now += costMs;
      runs++;
      if (text === 'broken') throw new Error('broken text');
      return { model: text } as Insight;
    };
    let loads = 0;
    const fallback = new Fallback({
      load: async () => {
        loads++;
        return model;
      },
      cpuShare,
      now: () => now,
    });
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 10) {
        now += 10;
        await jest.advanceTimersByTimeAsync(10);
      }
    };
    return { fallback, pass, counts: () => ({ runs, loads }) };
  }

  it('loads the model when it is first needed, and once', async () => {
    const { fallback, counts } = bounded(1);
    expect(counts().loads).toBe(0);
    const both = Promise.all([fallback.inTurn('hello', wanted), fallback.inTurn('lost', { stillWanted: () => false })]);
    expect(await both).toEqual([{ model: 'hello' }, undefined]);
    expect(counts()).toEqual({ runs: 1, loads: 1 });
  });

  it('takes no more than its share of the time, whatever a text costs', async () => {
    for (const costMs of [0.05, 1, 30]) {
      const { fallback, pass, counts } = bounded(costMs);
      for (let n = 0; n < 20_000; n++) void fallback.inTurn('text', wanted);
      await pass(2_000);
      // 200 ms a second over 2 s and what the runs themselves took, 20 ms saved up at the start, one run overdrawn.
      const spentMs = counts().runs * costMs;
      expect(spentMs).toBeLessThanOrEqual((2_000 + spentMs) * 0.2 + 20 + costMs);
      expect(spentMs).toBeGreaterThan(350);
      expect(fallback.waiting).toBe(20_000 - counts().runs);
      fallback.close();
    }
  });

  it('serves texts in the order in which they came, and rests when none waits', async () => {
    const { fallback, pass, counts } = bounded(10);
    const served: string[] = [];
    for (let n = 0; n < 50; n++)
      void fallback.inTurn(`m${n}`, wanted).then((insight) => served.push(insight?.model ?? ''));
    await pass(100);
    expect(counts().runs).toBeLessThanOrEqual(6);
    expect(fallback.waiting).toBeGreaterThanOrEqual(44);
    await pass(3_000);
    expect(served).toEqual(Array.from({ length: 50 }, (_, n) => `m${n}`));
    expect(jest.getTimerCount()).toBe(0);
  });

  it('costs nothing for messages whose partition was lost, and a text that breaks the model breaks no other', async () => {
    const { fallback, pass, counts } = bounded(1);
    let owned = true;
    const lost = fallback.inTurn('lost', { stillWanted: () => owned });
    owned = false;
    const broken = fallback.inTurn('broken', wanted).catch((error: unknown) => error);
    const good = fallback.inTurn('good', wanted);
    await pass(20);
    expect([await lost, await good]).toEqual([undefined, { model: 'good' }]);
    expect(await broken).toEqual(new Error('broken text'));
    expect(counts().runs).toBe(2);
  });
});

describe('the local model', () => {
  let of: LocalModel;
  beforeAll(async () => {
    of = await loadLocalModel();
  });

  it.each([
    ['Thank you so much, this is great!', 'en', 'positive'],
    ['This is the worst service I have ever had, I am angry.', 'en', 'negative'],
    ['I am not happy about this at all.', 'en', 'negative'],
    ['The parcel is on the table in the kitchen.', 'en', 'neutral'],
    ['Vielen Dank, das ist wirklich großartig!', 'de', 'positive'],
    ['C’est une catastrophe, je suis très déçu.', 'fr', 'negative'],
    ['我很高兴', 'zh', 'positive'],
  ])('finds language and sentiment of “%s”', (text, language, sentiment) => {
    expect(of(text)).toMatchObject({ language, sentiment_label: sentiment, intent: 'unknown', topics: [] });
  });

  it('finds bad words, and says nothing of texts without words', () => {
    expect(of('You are a fucking asshole').toxicity_score).toBeGreaterThanOrEqual(0.5);
    expect(of('Where is my parcel?').toxicity_score).toBe(0);
    for (const text of ['', '2016', '…', '\ud800']) {
      expect(of(text)).toMatchObject({ language: 'und', sentiment_label: 'neutral', sentiment_score: 0 });
    }
  });

  it('answers within the ranges whatever it is given', () => {
    const hostile = [
      'constructor __proto__ toString',
      '𝕿𝖊𝖘𝖙'.repeat(500),
      'a\u0301'.repeat(5_000),
      '不'.repeat(65_536),
    ];
    for (const text of hostile) {
      const insight = of(text);
      expect(Math.abs(insight.sentiment_score)).toBeLessThanOrEqual(1);
      expect(insight.toxicity_score).toBeGreaterThanOrEqual(0);
      expect(insight.toxicity_score).toBeLessThanOrEqual(1);
      expect(insight.language_confidence).toBeLessThanOrEqual(1);
    }
  });
});
