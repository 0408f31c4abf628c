import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Insight } from '../../../core/records.ts';
import { eventually } from '../../../core/testing/eventually.ts';
import { packInsight, unpackInsight } from '../../../platform/avro/packed-insight.ts';
import { type ApiReply, analysisOf, parleyAnswer, ScriptedNlp } from '../../../platform/testing/scripted-nlp.ts';
import type { AnalyseRequest, Analysis } from '../analysis.ts';
import type { NlpProvider } from '../provider/provider.ts';
import { AnalyserBench, type BenchOptions } from '../testing/bench.ts';
import { ResultCache } from './result-cache.ts';
import { textKey } from './text-key.ts';

let api: ScriptedNlp;
const benches: AnalyserBench[] = [];

beforeEach(async () => {
  api = await ScriptedNlp.start();
});
afterEach(async () => {
  await Promise.all(benches.splice(0).map((bench) => bench.close()));
  await api.close();
});

const CACHE = { maxBytes: 1 << 20, ttlMs: 60_000 };

function bench(options: Partial<BenchOptions> = {}): AnalyserBench {
  const made = new AnalyserBench({ url: api.url, cache: CACHE, ...options });
  benches.push(made);
  return made;
}

const insight = (model = 'm/1'): Insight => ({
  language: 'en',
  language_confidence: 0.75,
  sentiment_label: 'positive',
  sentiment_score: -1 / 3,
  intent: 'track_order',
  intent_confidence: 1,
  toxicity_score: 0,
  topics: ['café', '配送'],
  model,
});

/** Size of `insight()`, as the cache reckons it. */
const reckonedBytes = (key: string) => 160 + 2 * key.length + packInsight(insight()).length;

const LIVE: Partial<AnalyseRequest> = { hedgeUntilMs: 1e9 };
const REPLAY: Partial<AnalyseRequest> = {};
const PROMPT: Partial<AnalyseRequest> = { onOutage: 'return', hedgeUntilMs: 1e9 };

/** An API that answers when the test says so. */
function held() {
  const waiting: ((reply?: ApiReply) => void)[] = [];
  api.answer = (request) => new Promise((resolve) => waiting.push((reply) => resolve(reply ?? parleyAnswer(request))));
  const release = async (count: number, reply?: ApiReply) => {
    await eventually(() => expect(waiting.length).toBeGreaterThanOrEqual(count));
    for (const each of waiting.splice(0, count)) each(reply);
  };
  return { waiting, release };
}

const attemptsOf = (analysis: Analysis) => ('attempts' in analysis ? analysis.attempts : -1);

describe('the key of a text', () => {
  it('is the same for texts that differ in white space or composition alone', () => {
    expect(textKey('  How\tare \n\n you? ')).toBe('How are you?');
    expect(textKey('cafe\u0301')).toBe('caf\u00e9');
    expect(textKey('Yes')).not.toBe(textKey('yes'));
    expect(textKey('a b')).not.toBe(textKey('ab'));
    expect(textKey('\u3000你好\u00a0')).toBe('你好');
  });

  it('is that of the composed, trimmed and collapsed text, whatever the text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('a', '~', ' ', '\t', '\n', 'é', '\u0301') }),
    );
    fc.assert(
      fc.property(text, (some) => expect(textKey(some)).toBe(some.normalize('NFC').trim().replace(/\s+/g, ' '))),
    );
  });

  it('is its own key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => expect(textKey(textKey(text))).toBe(textKey(text))),
    );
  });
});

describe('a stampede', () => {
  it('makes one call, and all get its result', async () => {
    const { release } = held();
    const at = bench();
    const all = Array.from({ length: 500 }, () => at.analyse('Hello  there', LIVE));
    const spaced = at.analyse(' Hello there\n', LIVE);
    await release(1);
    const [first, ...rest] = await Promise.all([...all, spaced]);
    expect(api.requests).toHaveLength(1);
    expect(first).toMatchObject({ kind: 'analysed', attempts: 1, cacheHit: false });
    expect(new Set(rest.map(attemptsOf))).toEqual(new Set([0]));
    expect(rest.every((each) => each.kind === 'analysed' && each.cacheHit)).toBe(true);
    expect(at.analyser.followed).toBe(500);
    // And now it is known.
    expect(await at.analyse('Hello there')).toMatchObject({ attempts: 0, cacheHit: true, nlpMs: 0 });
    expect(api.requests).toHaveLength(1);
  });

  it('in batches, too', async () => {
    const at = bench({ batches: { mode: 'on' } });
    const all = Array.from({ length: 100 }, (_, n) => at.analyse(`text ${n % 10}`));
    expect((await Promise.all(all)).every(({ kind }) => kind === 'analysed')).toBe(true);
    expect(at.batcher.documentsSent).toBe(10);
  });

  it('whose text is rejected is rejected, with one call', async () => {
    api.answer = () => ({ status: 400 });
    const at = bench();
    const all = await Promise.all(Array.from({ length: 20 }, () => at.analyse('bad')));
    expect(all.every(({ kind }) => kind === 'rejected')).toBe(true);
    expect(api.requests).toHaveLength(1);
    // A rejection is not remembered: another time the API may have changed.
    await at.analyse('bad');
    expect(api.requests).toHaveLength(2);
  });

  it('does not fail for the bad luck of its first', async () => {
    let failures = 3;
    api.answer = (request) => (failures-- > 0 ? { status: 500 } : parleyAnswer(request));
    const at = bench({ policy: { maxRetries: 2 } });
    const all = await Promise.all(Array.from({ length: 20 }, () => at.analyse('text')));
    expect(all.map(({ kind }) => kind)).toEqual(['exhausted', ...Array(19).fill('analysed')]);
    expect(api.requests).toHaveLength(4);
  });

  it('believes after three that the text is at fault', async () => {
    api.answer = () => ({ status: 500 });
    const at = bench({ policy: { maxRetries: 1 } });
    const all = await Promise.all(Array.from({ length: 200 }, () => at.analyse('text')));
    expect(all.every(({ kind }) => kind === 'exhausted')).toBe(true);
    expect(api.requests).toHaveLength(3 * 2);
  });

  it('goes on when the first one is not wanted any more', async () => {
    const { release, waiting } = held();
    const at = bench({ policy: { maxRetries: 0 } });
    let wanted = true;
    const lost = Array.from({ length: 3 }, () => at.analyse('text', { stillWanted: () => wanted }));
    const kept = [at.analyse('text'), at.analyse('text')];
    await eventually(() => expect(waiting).toHaveLength(1));
    wanted = false;
    await release(1, { status: 500 });
    await release(1);
    expect((await Promise.all(lost)).map(({ kind }) => kind)).toEqual(['abandoned', 'abandoned', 'abandoned']);
    expect((await Promise.all(kept)).map(attemptsOf)).toEqual([1, 0]);
    expect(api.requests).toHaveLength(2);
  });

  it('of live messages does not wait for a replay, nor the other way round', async () => {
    const { release } = held();
    const at = bench();
    const all = [LIVE, REPLAY, PROMPT].flatMap((kind) => Array.from({ length: 5 }, () => at.analyse('text', kind)));
    await release(3);
    expect((await Promise.all(all)).every(({ kind }) => kind === 'analysed')).toBe(true);
    expect(api.requests).toHaveLength(3);
  });

  it('passes on what nobody foresaw, and leaves nothing behind', async () => {
    const at = bench();
    const broken = new TypeError('a bug');
    const analyze: NlpProvider['analyze'] = (_, receiver) => queueMicrotask(() => receiver.failed(broken));
    Object.assign(at.provider, { analyze });
    const all = await Promise.allSettled(Array.from({ length: 5 }, () => at.analyse('text')));
    expect(all).toEqual(Array(5).fill({ status: 'rejected', reason: broken }));
    Reflect.deleteProperty(at.provider, 'analyze');
    expect(await at.analyse('text')).toMatchObject({ kind: 'analysed' });
  });
});

describe('an outage', () => {
  it('sends those away that do not want to wait, and answers from the cache all the same', async () => {
    const at = bench({ policy: { breakerMinimumRps: 0.1, breakerThreshold: 0.5, maxRetries: 0 } });
    await at.analyse('known', PROMPT);
    api.answer = () => ({ status: 500 });
    await eventually(async () => {
      await Promise.all(Array.from({ length: 20 }, (_, n) => at.analyse(`text ${n}`, PROMPT)));
      expect(at.gate.isOpen).toBe(false);
    });
    api.requests.length = 0;
    expect(await at.analyse('new', PROMPT)).toEqual({ kind: 'unavailable', attempts: 0 });
    expect(await at.analyse('known', PROMPT)).toMatchObject({ kind: 'analysed', cacheHit: true });
    expect(api.requests).toEqual([]);
  });
});

describe('the cache', () => {
  it('forgets what another model said', async () => {
    let model = 'scripted/1';
    api.answer = ({ json }) => ({ body: analysisOf(json, model) });
    const at = bench();
    await at.analyse('one');
    await at.analyse('two');
    model = 'scripted/2';
    expect(await at.analyse('one')).toMatchObject({ cacheHit: true });
    // The first answer of the new model tells.
    await at.analyse('three');
    for (const text of ['one', 'two']) {
      expect(await at.analyse(text)).toMatchObject({ cacheHit: false, insight: { model: 'scripted/2' } });
    }
    expect(at.cache?.entries).toBe(3);
  });

  it('forgets after its time, give or take a second', async () => {
    let now = 1;
    const cache = new ResultCache({ maxBytes: 1 << 20, ttlMs: 10_000, now: () => now });
    cache.set('text', insight());
    now = 9_000;
    expect(cache.get('text')).toBeDefined();
    now = 10_002;
    await eventually(() => expect(cache.get('text')).toBeUndefined());
    expect([cache.bytes, cache.entries]).toEqual([0, 0]);
  });

  it('holds its bound on bytes, and lets the least recently used go first', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 3_000 })), { maxLength: 200 }),
        fc.integer({ min: 600, max: 20_000 }),
        (uses, maxBytes) => {
          const cache = new ResultCache({ maxBytes, ttlMs: 60_000 });
          for (const [n, length] of uses) {
            const key = `${n}${'x'.repeat(length)}`;
            if (!cache.get(key)) cache.set(key, insight());
            expect(cache.bytes).toBeLessThanOrEqual(maxBytes);
            // Whatever has room at all is there right after.
            if (reckonedBytes(key) <= maxBytes) expect(cache.get(key)).toBeDefined();
          }
          let reckoned = 0;
          for (const key of new Set(uses.map(([n, length]) => `${n}${'x'.repeat(length)}`))) {
            if (cache.get(key)) reckoned += reckonedBytes(key);
          }
          expect(reckoned).toBe(cache.bytes);
        },
      ),
    );
    const cache = new ResultCache({ maxBytes: 3 * reckonedBytes('a'), ttlMs: 60_000 });
    for (const key of ['a', 'b', 'c']) cache.set(key, insight());
    cache.get('a');
    cache.set('d', insight());
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true, true]);
  });

  it('keeps one result in eight where texts hardly ever come again, and all as soon as they do', () => {
    const cache = new ResultCache({ maxBytes: 16 << 20, ttlMs: 60_000 });
    const ask = (key: string) => {
      if (!cache.get(key)) cache.set(key, insight());
    };
    const askNew = (count: number, name: string) => {
      const before = cache.entries;
      for (let n = 0; n < count; n++) ask(`${name} ${n}`);
      return cache.entries - before;
    };
    expect(askNew(4_096, 'first')).toBe(4_096);
    expect(askNew(4_096, 'second')).toBe(512);
    // What repeats is kept soon, and noticed at the next judgement.
    for (let n = 0; n < 4_096; n++) ask(n % 10 === 0 ? `phrase ${n % 30}` : `third ${n}`);
    expect(askNew(4_096, 'fourth')).toBe(4_096);
    // And those hits are soon forgotten.
    expect(askNew(4_096, 'fifth')).toBe(512);
  });
});

describe('a packed insight', () => {
  it('is what it was, whatever is in it', () => {
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).map((text) => text.toWellFormed());
    const score = fc.double({ min: -1, max: 1, noNaN: true });
    const any = fc.record({
      language: name,
      language_confidence: score,
      sentiment_label: name,
      sentiment_score: score,
      intent: name,
      intent_confidence: score,
      toxicity_score: score,
      topics: fc.array(name, { maxLength: 32 }),
      model: name,
    });
    fc.assert(fc.property(any, (insight) => expect({ ...unpackInsight(packInsight(insight)) }).toEqual(insight)));
  });

  it('refuses what no provider hands over', () => {
    expect(() => packInsight({ ...insight(), model: 'm'.repeat(40_000) })).toThrow(RangeError);
  });
});
