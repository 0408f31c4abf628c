import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ApiReply, parleyAnswer, ScriptedNlp } from '../../../platform/testing/scripted-nlp.ts';
import { openTracing, type TestTracing } from '../../../platform/testing/test-tracing.ts';
import type { Span } from '../../../platform/tracing/tracer.ts';
import { Cancellation, SUPERSEDED } from '../cancellation.ts';
import { AnalyserBench } from '../testing/bench.ts';
import { resultsOf } from '../testing/results.ts';
import { ParleyProvider } from './parley.ts';
import { TracedProvider } from './traced.ts';

let api: ScriptedNlp;
let tracing: TestTracing;
let provider: TracedProvider;

beforeEach(async () => {
  [api, tracing] = await Promise.all([ScriptedNlp.start(), openTracing()]);
  const inner = new ParleyProvider({ url: `${api.url}/base`, connections: 10, connectTimeoutMs: 10_000 });
  provider = new TracedProvider(inner, `${api.url}/base`, tracing.tracer);
});
afterEach(async () => {
  await provider.close();
  await api.close();
});

const messageSpan = (): Span => tracing.tracer.start('process chat.events', { kind: 'consumer', attributes: {} });
const documents = (...spans: (Span | undefined)[]) =>
  spans.map((span, index) => ({ id: `m${index}`, text: 'a secret text', span }));
const server = () => {
  const { hostname, port } = new URL(api.url);
  return { 'server.address': hostname, 'server.port': Number(port) };
};

describe('a request to the NLP API', () => {
  it('is a span of the message that it is made for, and carries its context', async () => {
    const message = messageSpan();
    await resultsOf(provider, documents(message), new Cancellation());
    message.end();
    const [call, process] = await tracing.spans();
    expect(call).toMatchObject({
      name: 'POST /base/v1/analyze',
      kind: 'client',
      traceId: message.context.traceId,
      parentSpanId: message.context.spanId,
      failed: false,
      attributes: {
        ...server(),
        'http.request.method': 'POST',
        'http.response.status_code': 200,
        'url.template': '/base/v1/analyze',
        'parley.nlp.documents': 1,
      },
      links: [],
    });
    expect(process?.events.map(({ name }) => name)).toEqual(['permit']);
    expect(api.requests[0]?.headers['traceparent']).toBe(`00-${call?.traceId}-${call?.spanId}-01`);
  });

  it('without a traced message has neither span nor header', async () => {
    await resultsOf(provider, documents(undefined));
    await resultsOf(provider, documents(undefined, undefined, undefined));
    expect(await tracing.spans()).toEqual([]);
    expect(api.requests).toHaveLength(2);
    for (const { headers } of api.requests) expect(headers).not.toHaveProperty('traceparent');
  });

  it('for many stands in the trace of the first traced one and has links to the others, which link back', async () => {
    const [first, second, third] = [messageSpan(), messageSpan(), messageSpan()];
    await resultsOf(provider, documents(undefined, first, undefined, second, third));
    for (const each of [first, second, third]) each.end();
    const [call, ...processes] = await tracing.spans();
    expect(call).toMatchObject({
      name: 'POST /base/v1/analyze:batch',
      parentSpanId: first.context.spanId,
      attributes: { 'parley.nlp.documents': 5 },
      links: [second, third].map(({ context: { traceId, spanId } }) => ({ traceId, spanId })),
    });
    const back = { traceId: call?.traceId, spanId: call?.spanId };
    expect(processes.map(({ links }) => links)).toEqual([[], [back], [back]]);
  });

  it.each<[string, ApiReply | 'cut', object]>([
    ['a failure', { status: 503 }, { 'error.type': 'http_503', 'http.response.status_code': 503 }],
    ['a refusal', { status: 400 }, { 'error.type': 'http_400', 'http.response.status_code': 400 }],
    ['garbage', { body: 'a login page' }, { 'error.type': 'garbage' }],
  ])('tells of %s by its code', async (_, reply, expected) => {
    api.answer = () => reply as ApiReply;
    const message = messageSpan();
    await expect(resultsOf(provider, documents(message))).rejects.toThrow();
    expect(await tracing.spans()).toMatchObject([{ failed: true, attributes: expected }]);
  });

  it('that the other one of a hedge outran is no failure, and one that took too long is', async () => {
    api.answer = () => undefined;
    const cut = async (reason: Error) => {
      const cancellation = new Cancellation();
      const call = resultsOf(provider, documents(messageSpan()), cancellation);
      cancellation.cancel(reason);
      await expect(call).rejects.toThrow('no answer in time');
    };
    await cut(SUPERSEDED);
    await cut(new Error('too long'));
    expect(await tracing.spans()).toMatchObject([
      { failed: false, attributes: { 'parley.nlp.superseded': true } },
      { failed: true, attributes: { 'error.type': 'timeout' } },
    ]);
  });

  it('is made again by a retry, with the number of those before it', async () => {
    let calls = 0;
    api.answer = (request) => (++calls < 3 ? { status: 500 } : parleyAnswer(request));
    const bench = new AnalyserBench({ url: api.url, provider, cache: undefined });
    const message = messageSpan();
    const request = { id: 'm1', text: 'hello', stillWanted: () => true, hedgeUntilMs: -Infinity, span: message };
    const analysis = await bench.analyser.analyse({ ...request, onOutage: 'wait' });
    message.end();
    expect(analysis).toMatchObject({ kind: 'analysed', attempts: 3 });
    await bench.close();
    const all = await tracing.spans();
    expect(all.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([undefined, 1, 2, undefined]);
    expect(all.map(({ failed }) => failed)).toEqual([true, true, false, false]);
    expect(all.at(-1)?.events.map(({ name }) => name)).toEqual(['permit', 'permit', 'permit']);
  });
});
