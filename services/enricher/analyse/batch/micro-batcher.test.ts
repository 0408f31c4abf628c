import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { eventually } from '../../../core/testing/eventually.ts';
import {
  type ApiReply,
  type ApiRequest,
  analysisOf,
  parleyAnswer,
  ScriptedNlp,
  type SentDocument,
} from '../../../platform/testing/scripted-nlp.ts';
import type { Analysis } from '../analysis.ts';
import { JsonProvider } from '../provider/json.ts';
import { parseMapping } from '../provider/json-mapping.ts';
import { AnalyserBench, type BenchOptions } from '../testing/bench.ts';
import { ArrivalRate } from './arrival-rate.ts';
import { fitText } from './text-limit.ts';

let api: ScriptedNlp;
const benches: AnalyserBench[] = [];

beforeEach(async () => {
  api = await ScriptedNlp.start();
});
afterEach(async () => {
  await Promise.all(benches.splice(0).map((bench) => bench.close()));
  await api.close();
});

function bench(options: Partial<BenchOptions> = {}): AnalyserBench {
  const made = new AnalyserBench({ url: api.url, batches: { mode: 'on' }, ...options });
  benches.push(made);
  return made;
}

const texts = (count: number, of = 'text') => Array.from({ length: count }, (_, n) => `${of} ${n}`);
const documentsOf = ({ path, json }: ApiRequest): SentDocument[] =>
  path.endsWith(':batch') ? (json.documents as SentDocument[]) : [json as SentDocument];
/** Whose analysis it is: the scripted API's intent repeats the text. */
const told = (analysis: Analysis) => (analysis.kind === 'analysed' ? analysis.insight.intent : analysis.kind);
const ask = (at: AnalyserBench, all: readonly string[]) => Promise.all(all.map((text) => at.analyse(text)));

describe('batches', () => {
  it('gather what comes together, and each document gets its own result', async () => {
    const at = bench();
    const all = texts(60);
    expect((await ask(at, all)).map(told)).toEqual(all);
    expect(api.requests.map((request) => documentsOf(request).length)).toEqual([25, 25, 10]);
    expect(at.batcher.documentsSent).toBe(60);
  });

  it('are matched by id, not by position: servers reorder, repeat and leave out', async () => {
    api.answer = ({ path, json }) => {
      const reply = parleyAnswer({ path, json });
      if (!path.endsWith(':batch')) return reply;
      const { results } = reply.body as { results: object[] };
      // Backwards, the first twice, one of nobody's, one missing.
      const mixed = [...results.slice(1).reverse(), results[1], analysisOf({ id: 'nobody', text: 'x' }), 7, null];
      return { body: { results: mixed, errors: [] } };
    };
    const at = bench();
    const all = texts(10);
    expect((await ask(at, all)).map(told)).toEqual(all);
    // The one that was left out was asked for again, alone.
    expect(api.requests.slice(1).map(({ path, json }) => [path, json.text])).toEqual([['/v1/analyze', 'text 0']]);
    expect(at.retries).toEqual(['garbage']);
  });

  it('tell documents apart that bots gave the same id', async () => {
    const at = bench();
    const ids = ['same', '#1', 'same', 'same', '#2'];
    const analyses = await Promise.all(ids.map((id, n) => at.analyse(`text ${n}`, { id })));
    expect(analyses.map(told)).toEqual(texts(5));
    expect(new Set(documentsOf(api.requests[0] as ApiRequest).map(({ id }) => id)).size).toBe(5);
  });

  it('leave a refused document alone in its failure, and try one alone that may pass', async () => {
    let failures = 2;
    api.answer = ({ path, json }) => {
      if (!path.endsWith(':batch')) return failures-- > 0 ? { status: 500 } : parleyAnswer({ path, json });
      const documents = json.documents as SentDocument[];
      const errors = documents
        .filter(({ text }) => text.startsWith('bad') || text.startsWith('flaky'))
        .map(({ id, text }) => ({ id, code: text.startsWith('bad') ? 'rejected' : 'analysis_failed', message: '…' }));
      const good = documents.filter(({ text }) => text.startsWith('text'));
      return { body: { results: good.map((document) => analysisOf(document)), errors } };
    };
    const at = bench();
    const analyses = await ask(at, ['text 0', 'bad', 'text 1', 'flaky', 'text 2']);
    expect(analyses.map(told)).toEqual(['text 0', 'rejected', 'text 1', 'flaky', 'text 2']);
    expect(analyses[1]).toEqual({
      kind: 'rejected',
      cause: 'document_rejected',
      detail: 'the NLP API refused the document of a batch: rejected',
      attempts: 1,
    });
    // The batch, two failures, and the answer.
    expect(analyses[3]).toMatchObject({ attempts: 4 });
    expect(at.retries).toEqual(['document_analysis_failed']);
  });

  it('whose documents are throttled keep to a lower rate when these are sent again', async () => {
    let refusals = 3;
    api.answer = ({ path, json }) => {
      if (path.endsWith('/v1/analyze')) return parleyAnswer({ path, json });
      const documents = json.documents as SentDocument[];
      const errors = documents.splice(0, refusals).map(({ id }) => ({ id, code: 'rate_limited', message: 'too many' }));
      refusals = 0;
      return { body: { results: documents.map((document) => analysisOf(document)), errors } };
    };
    const at = bench();
    const analyses = await Promise.all(texts(10).map((text) => at.analyse(text)));
    expect(analyses.map(told)).toEqual(texts(10));
    expect(at.policy.calls.rate.perS).toBeLessThan(100);
  });

  it('that are refused as a whole are halved until what is at fault is alone', async () => {
    api.answer = (request) =>
      documentsOf(request).some(({ text }) => text === 'text 3') ? { status: 400 } : parleyAnswer(request);
    const analyses = await ask(bench(), texts(16));
    expect(analyses.map(told)).toEqual(texts(16).map((text) => (text === 'text 3' ? 'rejected' : text)));
    // 16, and two of each size below.
    expect(api.requests).toHaveLength(9);
  });

  it('that fail for good are halved too, since one document may crash the server', async () => {
    api.answer = (request) =>
      documentsOf(request).some(({ text }) => text === 'text 5') ? { status: 500 } : parleyAnswer(request);
    const analyses = await ask(bench(), texts(8));
    expect(analyses.map(told)).toEqual(texts(8).map((text) => (text === 'text 5' ? 'exhausted' : text)));
    // Each batch with it was tried three times.
    expect(analyses[5]).toMatchObject({ cause: 'http_500', attempts: 4 * 3 });
  });

  it('are for an API without them given up once and for all, with one word about it', async () => {
    api.answer = (request) => (request.path.endsWith(':batch') ? { status: 404 } : parleyAnswer(request));
    let now = 0;
    const at = bench({ batches: { mode: 'on', now: () => now } });
    expect((await ask(at, texts(50))).map(told)).toEqual(texts(50));
    expect((await ask(at, texts(5, 'later'))).map(told)).toEqual(texts(5, 'later'));
    expect(api.requests.filter(({ path }) => path.endsWith(':batch'))).toHaveLength(2);
    expect(at.noBatches).toBe(1);
    // It is looked for again, rarely.
    now = 600_000;
    await ask(at, texts(2, 'again'));
    expect(api.requests.filter(({ path }) => path.endsWith(':batch'))).toHaveLength(3);
  });

  it('do not open the breaker for a path that is missing, as single calls would', async () => {
    api.answer = (request) => (request.path.endsWith(':batch') ? { status: 405 } : parleyAnswer(request));
    const at = bench({ policy: { breakerMinimumRps: 0.1, breakerThreshold: 0.01 } });
    expect((await ask(at, texts(100))).map(told)).toEqual(texts(100));
    expect(at.policy.state).toBe('closed');
  });

  it('fill up while they wait for a permit', async () => {
    const release: (() => void)[] = [];
    api.answer = (request) => new Promise((resolve) => release.push(() => resolve(parleyAnswer(request))));
    const at = bench({ batches: { mode: 'auto' }, policy: { concurrency: 1, initialConcurrency: 1 } });
    const first = at.analyse('first');
    await eventually(() => expect(api.requests).toHaveLength(1));
    const rest: Promise<Analysis>[] = [];
    for (const text of texts(10)) {
      rest.push(at.analyse(text));
      await new Promise(setImmediate);
    }
    expect(api.requests).toHaveLength(1);
    release.shift()?.();
    await eventually(() => expect(api.requests).toHaveLength(2));
    release.shift()?.();
    expect((await Promise.all([first, ...rest])).map(told)).toEqual(['first', ...texts(10)]);
    expect(documentsOf(api.requests[1] as ApiRequest)).toHaveLength(10);
  });

  it('are not gathered at a low rate when automatic', async () => {
    let now = 0;
    const at = bench({ batches: { mode: 'auto', lingerMs: 1_000, now: () => now } });
    for (const text of texts(5)) {
      // Fewer than two within the linger.
      now += 900;
      expect(told(await at.analyse(text))).toBe(text);
    }
    expect(api.requests.map(({ path }) => path)).toEqual(Array(5).fill('/v1/analyze'));
  });

  it('are gathered at a high rate when automatic', async () => {
    let now = 0;
    const at = bench({ batches: { mode: 'auto', lingerMs: 1_000, now: () => now } });
    // One a millisecond for half a second, twenty full batches.
    const warm = texts(500, 'warm').map((text) => {
      now++;
      return at.analyse(text);
    });
    await Promise.all(warm);
    api.requests.length = 0;
    const asked: Promise<Analysis>[] = [];
    for (const text of texts(25)) {
      now++;
      asked.push(at.analyse(text));
      // Without gathering it would be on its way now.
      await new Promise(setImmediate);
    }
    expect((await Promise.all(asked)).map(told)).toEqual(texts(25));
    expect(api.requests.map((request) => documentsOf(request).length)).toEqual([25]);
  });

  it('let go of documents that nobody waits for any more, but never of the call itself', async () => {
    const at = bench({ batches: { mode: 'on', lingerMs: 20 } });
    let wanted = true;
    const lost = ['lost 0', 'lost 1'].map((text) => at.analyse(text, { stillWanted: () => wanted }));
    const kept = at.analyse('kept');
    wanted = false;
    expect((await Promise.all([...lost, kept])).map(told)).toEqual(['abandoned', 'abandoned', 'kept']);
    expect(api.requests.flatMap(documentsOf).map(({ text }) => text)).toEqual(['kept']);
  });

  it('answer 429 as a whole: all wait, none is given up', async () => {
    let throttled = 5;
    api.answer = (request) =>
      throttled-- > 0 ? { status: 429, headers: { 'retry-after': '0' } } : parleyAnswer(request);
    expect((await ask(bench(), texts(10))).map(told)).toEqual(texts(10));
    expect(api.requests.map((request) => documentsOf(request).length)).toEqual(Array(6).fill(10));
  });
});

describe('whatever comes, and whatever the API makes of it', () => {
  /** A server with bounds of its own, whose texts say what is to become of them. */
  const faulty = (maxDocuments: number, maxBytes: number) => {
    const failedBefore = new Set<string>();
    return (request: ApiRequest): ApiReply => {
      const documents = documentsOf(request);
      if (documents.length > maxDocuments || request.bytes > maxBytes) return { status: 413 };
      if (documents.some(({ text }) => text.startsWith('poison'))) return { status: 400 };
      const failing = ({ text }: SentDocument) => text.startsWith('flaky') && !failedBefore.has(text);
      const failed = documents.filter(failing);
      for (const { text } of failed) failedBefore.add(text);
      if (!request.path.endsWith(':batch')) return failed.length > 0 ? { status: 500 } : parleyAnswer(request);
      const refused = documents.filter(({ text }) => text.startsWith('refused'));
      const errors = [
        ...failed.map(({ id }) => ({ id, code: 'analysis_failed' })),
        ...refused.map(({ id }) => ({ id, code: 'invalid_field' })),
      ];
      const good = documents.filter((document) => !failed.includes(document) && !refused.includes(document));
      return { body: { results: good.toReversed().map((document) => analysisOf(document)), errors } };
    };
  };
  const text = fc.oneof(
    { weight: 6, arbitrary: fc.constant('good') },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 1_000 }).map((length) => `good ${'x'.repeat(length)}`) },
    { weight: 1, arbitrary: fc.constantFrom('poison', 'refused', 'flaky') },
    { weight: 1, arbitrary: fc.constantFrom('good €', 'good \u0000\u0001\u0002', `good ${'é'.repeat(300)}`) },
  );

  it('each document gets exactly its own result, and no request exceeds a bound', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ text, pause: fc.boolean() }), { minLength: 1, maxLength: 60 }),
        fc.record({
          mode: fc.constantFrom('on' as const, 'auto' as const, 'off' as const),
          maxDocuments: fc.integer({ min: 1, max: 30 }),
          maxBytes: fc.integer({ min: 1_024, max: 8_192 }),
          lingerMs: fc.integer({ min: 0, max: 2 }),
        }),
        fc.record({ documents: fc.integer({ min: 1, max: 30 }), bytes: fc.integer({ min: 1_500, max: 8_192 }) }),
        fc.integer({ min: 1, max: 4 }),
        async (documents, batches, server, concurrency) => {
          api.requests.length = 0;
          api.answer = faulty(server.documents, server.bytes);
          const at = bench({ batches, policy: { concurrency, initialConcurrency: concurrency } });
          const asked: Promise<Analysis>[] = [];
          for (const [n, document] of documents.entries()) {
            asked.push(at.analyse(`${document.text.split(' ')[0]} ${n} ${document.text}`, { id: `m${n % 7}` }));
            if (document.pause) await new Promise(setImmediate);
          }
          const analyses = await Promise.all(asked);
          for (const [n, analysis] of analyses.entries()) {
            const [kind] = (documents[n] as { text: string }).text.split(' ') as [string];
            const fate = { poison: 'rejected', refused: server.documents === 1 ? undefined : 'rejected' }[kind];
            // A refused document stands in the errors of a batch; alone, this server takes it.
            if (kind === 'refused') expect(['rejected', `refused ${n} refused`]).toContain(told(analysis));
            else if (fate) expect(told(analysis)).toBe(fate);
            else expect(told(analysis)).toMatch(new RegExp(`^${kind} ${n} `));
          }
          for (const request of api.requests) {
            const sent = documentsOf(request);
            expect(sent.length).toBeLessThanOrEqual(
              Math.min(batches.maxDocuments, 25, batches.mode === 'off' ? 1 : 25),
            );
            if (sent.length > 1) expect(request.bytes).toBeLessThanOrEqual(batches.maxBytes);
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it('a batch that is too large is split down to the single document, and the next ones are smaller', async () => {
    api.answer = (request) => (documentsOf(request).length > 3 ? { status: 413 } : parleyAnswer(request));
    let now = 0;
    const at = bench({ batches: { mode: 'on', now: () => now } });
    expect((await ask(at, texts(25))).map(told)).toEqual(texts(25));
    api.requests.length = 0;
    expect((await ask(at, texts(25, 'next'))).map(told)).toEqual(texts(25, 'next'));
    expect(Math.max(...api.requests.map((request) => documentsOf(request).length))).toBeLessThanOrEqual(3);
    // What was too large may not be any more: full batches are tried again after a minute.
    now = 60_000;
    api.requests.length = 0;
    await ask(at, texts(25, 'later'));
    expect(documentsOf(api.requests[0] as ApiRequest)).toHaveLength(25);
    api.answer = () => ({ status: 413 });
    const refused = await ask(at, texts(7));
    expect(refused.map(({ kind }) => kind)).toEqual(Array(7).fill('rejected'));
    expect(refused[0]).toMatchObject({ cause: 'http_413' });
  });
});

describe('what an API says of its texts and its rate', () => {
  const limits = { maxDocuments: 1, maxRequestBytes: 1e6, requestOverheadBytes: 0, documentOverheadBytes: 0 };

  it('a text over the limit is rejected without a call', async () => {
    const at = bench();
    expect(await at.analyse('x'.repeat(16_385))).toEqual({
      kind: 'rejected',
      cause: 'text_too_long',
      detail: 'the text exceeds 16384 characters',
      attempts: 0,
    });
    expect(api.requests).toEqual([]);
  });

  it('or cut, by characters or bytes, but never within one', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.option(fc.integer({ min: 4, max: 40 }), { nil: undefined }),
        (text, maxTextChars, maxTextBytes) => {
          const bytes = maxTextBytes === undefined ? {} : { maxTextBytes };
          const fitted = fitText(text, { ...limits, maxTextChars, ...bytes, overlongText: 'truncate' }) as string;
          expect(text.startsWith(fitted)).toBe(true);
          expect(fitted.isWellFormed()).toBe(true);
          expect(fitted.length).toBeLessThanOrEqual(maxTextChars);
          expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(maxTextBytes ?? Number.POSITIVE_INFINITY);
          // No more than one character shorter than it must be.
          const next = text.slice(0, fitted.length + 2);
          const isWhole = fitted === text;
          expect(isWhole || next.length > maxTextChars || Buffer.byteLength(next) > (maxTextBytes ?? 1e9)).toBe(true);
          const rejected = fitText(text, { ...limits, maxTextChars, ...bytes, overlongText: 'reject' });
          expect(rejected).toBe(isWhole ? text : undefined);
        },
      ),
    );
  });

  it('a batch that waits for its turn fills up', async () => {
    const mapping = parseMapping(
      {
        name: 'paced',
        path: '/v1/analyze:batch',
        request: { body: { documents: '$documents' }, document: { id: '$id', text: '$text' } },
        response: { results: '/results', match: { id: '/id' } },
        limits: { documents: 100, bytes: 100_000, requests_per_s: 2, text: { chars: 100, overlong: 'truncate' } },
        insight: { model: { value: 'paced' }, intent: { name: { at: '/intent/name' } } },
      },
      'test',
    );
    const provider = new JsonProvider(mapping, { url: api.url, connections: 10, connectTimeoutMs: 1_000 }, {});
    const at = bench({ provider, batches: { mode: 'auto', maxDocuments: 100 } });
    const asked: Promise<Analysis>[] = [];
    for (const text of texts(40)) {
      asked.push(at.analyse(text));
      await new Promise(setImmediate);
    }
    expect((await Promise.all(asked)).map(told)).toEqual(texts(40));
    expect(api.requests.length).toBeLessThanOrEqual(5);
  });

  it('the rate of arrivals is that of the last moments', () => {
    let now = 0;
    const rate = new ArrivalRate(() => now);
    for (now = 0; now < 1_000; now++) rate.record();
    expect(rate.perMs).toBeGreaterThan(0.9);
    for (; now < 3_000; now += 100) rate.record();
    expect(rate.perMs).toBeLessThan(0.1);
    for (; now < 4_000; now++) rate.record();
    now += 60_000;
    rate.record();
    expect(rate.perMs).toBe(0);
  });
});
