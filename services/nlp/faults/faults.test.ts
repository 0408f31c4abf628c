import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { AdminServer } from '../../platform/admin-server.ts';
import { Metrics } from '../../platform/metrics.ts';
import { schemaValidator } from '../testing/api-schema.ts';
import { RunningApi } from '../testing/running-api.ts';
import { faultRoutes } from './routes.ts';
import { faultsFromEnvironment, parseFaults } from './settings.ts';

const isResult = schemaValidator('Result');
let api: RunningApi;
let admin: AdminServer;

beforeAll(async () => {
  api = await RunningApi.start();
  admin = await AdminServer.start({
    port: 0,
    fallbackToFreePort: true,
    metrics: new Metrics('nlp'),
    checks: {},
    accepting: () => true,
    routes: faultRoutes(api.injector),
  });
});
afterEach(() => api.injector.clear());
afterAll(async () => {
  await admin.stop();
  await api.stop();
});

async function faults(method: string, body?: unknown) {
  const response = await fetch(`http://127.0.0.1:${admin.port}/faults`, {
    method,
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into the body
  return { status: response.status, json: (await response.json()) as any };
}

const call = (id = 'a') => api.analyze({ id, text: 'Good morning' });
const calls = (count: number) => Promise.all(Array.from({ length: count }, (_, at) => call(String(at))));

describe('/faults on the admin port', () => {
  it('shows, sets and clears', async () => {
    const set = await faults('PUT', { errors: { '500': 0.25 }, retry_after_s: 3 });
    expect(set).toMatchObject({ status: 200, json: { faults: { errors: { '500': 0.25 }, hang_rate: 0 } } });
    await calls(200);
    const { json } = await faults('GET');
    expect(json.injected.error).toBeGreaterThan(25);
    expect(json.injected.error).toBeLessThan(75);
    expect((await faults('DELETE')).json).toMatchObject({ faults: { errors: {} }, injected: { error: 0 } });
    expect((await calls(20)).every(({ status }) => status === 200)).toBe(true);
  });

  it.each([
    ['no JSON', '{', /not JSON/],
    ['a list', [], /faults: .*object/],
    ['a rate above 1', { hang_rate: 1.5 }, /^hang_rate: /],
    ['a status that is no error', { errors: { 200: 0.5 } }, /errors.*400 to 599/],
    ['an unknown field', { hangs: 1 }, /hangs/],
    ['rates that exceed 1 together', { errors: { 500: 0.6 }, drop_rate: 0.6 }, /together exceed 1/],
    ['a bucket without a rate', { rate_limit: { burst: 5 } }, /^rate_limit\.requests_per_s: /],
    ['too much', `"${'x'.repeat(70_000)}"`, /65536 bytes/],
  ])('refuses %s and keeps what was set', async (_, body, message) => {
    await faults('PUT', { garbage_rate: 0.5 });
    const refused = await faults('PUT', body);
    expect([refused.status, refused.json.code]).toEqual([400, 'invalid_faults']);
    expect(refused.json.message).toMatch(message);
    expect((await faults('GET')).json.faults.garbage_rate).toBe(0.5);
  });

  it('reads NLP_FAULTS at start', () => {
    expect(faultsFromEnvironment('{"drop_rate":0.5}').drop_rate).toBe(0.5);
    expect(faultsFromEnvironment(undefined)).toMatchObject({ errors: {}, drop_rate: 0 });
    expect(() => faultsFromEnvironment('{"drop":1}')).toThrow(/NLP_FAULTS is wrong: .*drop/);
  });
});

describe('each kind of fault', () => {
  const set = (settings: object) => {
    const parsed = parseFaults(JSON.stringify(settings));
    if (!parsed.ok) throw new Error(parsed.message);
    api.injector.set(parsed.settings);
  };

  it('error: the status, a code, Retry-After for 429 and 503', async () => {
    set({ errors: { '500': 0.25, '502': 0.25, '429': 0.25, '503': 0.25 }, retry_after_s: 7 });
    const replies = await calls(100);
    const seen = new Map(replies.map(({ status, json, headers }) => [status, [json.code, headers['retry-after']]]));
    expect(Object.fromEntries(seen)).toEqual({
      429: ['rate_limited', '7'],
      500: ['injected_fault', undefined],
      502: ['injected_fault', undefined],
      503: ['overloaded', '7'],
    });
    expect(api.injector.state.injected.error).toBe(100);
  });

  it('hang: no answer until the caller leaves', async () => {
    set({ hang_rate: 1 });
    const leave = new AbortController();
    let settled = false;
    const hanging = api.analyze({ id: 'a', text: 'x' }, leave.signal).then(
      () => 'answered',
      () => 'left',
    );
    hanging.finally(() => {
      settled = true;
    });
    await eventually(() => expect(api.injector.state.injected.hang).toBe(1));
    api.injector.clear();
    expect((await call()).status).toBe(200);
    expect(settled).toBe(false);
    leave.abort();
    expect(await hanging).toBe('left');
    await eventually(() => expect(api.server.inFlight).toBe(0));
  });

  it('drop: the connection ends before or within the answer', async () => {
    set({ drop_rate: 1 });
    const settled = await Promise.allSettled(Array.from({ length: 30 }, () => call()));
    const reasons = settled.map((outcome) =>
      outcome.status === 'rejected' ? String(outcome.reason.code) : 'answered',
    );
    expect(new Set(reasons)).toEqual(new Set(['UND_ERR_SOCKET']));
    expect(api.injector.state.injected.drop).toBe(30);
    api.injector.clear();
    expect((await call()).status).toBe(200);
  });

  it('garbage: 200 with what is not the API', async () => {
    set({ garbage_rate: 1 });
    const replies = await calls(40);
    expect(replies.every(({ status, json }) => status === 200 && !isResult(json))).toBe(true);
    expect(new Set(replies.map(({ text }) => text)).size).toBe(4);
  });

  it('slow: a share of the latencies is multiplied and prolonged', () => {
    set({ slow: { rate: 0.2, factor: 10, extra_ms: 5 } });
    const latencies = Array.from({ length: 1_000 }, () => api.injector.slowed(20));
    const slow = latencies.filter((latency) => latency === 205).length;
    expect(latencies.filter((latency) => latency === 20)).toHaveLength(1_000 - slow);
    expect(slow).toBeGreaterThan(150);
    expect(slow).toBeLessThan(250);
    expect(api.injector.state.injected.slow).toBe(slow);
  });

  it('rate limit: the burst, then 429 with Retry-After, then as many as the time allows', async () => {
    set({ rate_limit: { requests_per_s: 2, burst: 5 } });
    const statuses = (await calls(20)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);
    const refused = await call();
    expect([refused.status, refused.json.code, refused.headers['retry-after']]).toEqual([429, 'rate_limited', '1']);
    api.clock.advance(1_500);
    expect((await calls(10)).filter(({ status }) => status === 200)).toHaveLength(3);
  });

  it('document error: one document fails, its neighbours do not', async () => {
    set({ document_error_rate: 0.3 });
    const documents = Array.from({ length: 25 }, (_, at) => ({ id: String(at), text: 'hello' }));
    const { json } = await api.batch(documents);
    expect(json.errors.length).toBeGreaterThan(0);
    expect(json.errors.length + json.results.length).toBe(25);
    expect(new Set(json.errors.map(({ code }: { code: string }) => code))).toEqual(new Set(['analysis_failed']));
    set({ document_error_rate: 1 });
    expect(await call()).toMatchObject({ status: 500, json: { code: 'analysis_failed' } });
  });

  it('rejected text: the same document is refused every time', async () => {
    set({ reject_containing: 'poison' });
    const documents = ['fine', 'a poisonous text', 'fine too'].map((text, at) => ({ id: String(at), text }));
    const { json } = await api.batch(documents);
    expect(json.results).toHaveLength(2);
    expect(json.errors).toMatchObject([{ id: '1', index: 1, code: 'rejected' }]);
    expect(await api.analyze({ id: 'p', text: 'poison' })).toMatchObject({ status: 400, json: { code: 'rejected' } });
    expect((await call()).status).toBe(200);
  });

  it('is repeatable: the same seed gives the same fates', async () => {
    const run = async () => {
      const other = await RunningApi.start();
      const parsed = parseFaults('{"errors":{"500":0.3},"document_error_rate":0.2}');
      if (parsed.ok) other.injector.set(parsed.settings);
      const statuses: number[] = [];
      for (let at = 0; at < 40; at++) statuses.push((await other.analyze({ id: 'a', text: 'x' })).status);
      await other.stop();
      return statuses;
    };
    const first = await run();
    expect(new Set(first)).toEqual(new Set([200, 500]));
    expect(await run()).toEqual(first);
  });
});
