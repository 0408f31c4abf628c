import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../services/core/testing/eventually.ts';
import { DelayWheel } from './delay-wheel.ts';
import { NO_FAULTS } from './faults.ts';
import { LoadApi } from './load-api.ts';
import { readRequest } from './request-reader.ts';

let api: LoadApi;
/** Shares of faults are drawn with this. */
let lot = 0.5;

beforeEach(async () => {
  lot = 0.5;
  api = new LoadApi({ minDelayMs: 1, maxDelayMs: 5, random: () => lot });
  api.reset(10);
  await api.listen();
});
afterEach(() => api.close());

const url = (path: string) => `http://127.0.0.1:${api.port}${path}`;
const post = (path: string, body: object, signal?: AbortSignal) =>
  fetch(url(path), { method: 'POST', body: JSON.stringify(body), ...(signal && { signal }) });

describe('the load API', () => {
  it('answers a text and a batch of texts, and keeps a book of them', async () => {
    const single = await post('/v1/analyze', { id: 'm3', text: 'He said "id":"m4"' });
    expect(await single.json()).toMatchObject({ id: 'm3', sentiment: { label: 'positive' }, model: 'load-1' });
    const batch = await post('/v1/analyze:batch', {
      documents: [
        { id: 'm3', text: 'é' },
        { id: 'm5', text: '{' },
      ],
    });
    expect(await batch.json()).toMatchObject({ results: [{ id: 'm3' }, { id: 'm5' }], errors: [] });
    expect(api.stats).toMatchObject({ calls: 2, batches: 1, documents: 3, answered: 2, in_flight: 0 });
    expect([...api.book.calls]).toEqual([0, 0, 0, 2, 0, 1, 0, 0, 0, 0]);
    expect(api.book.tookMs[5]).toBeGreaterThan(0);
  });

  it('refuses other paths and batches that are too large', async () => {
    expect((await post('/v1/other', { id: 'm1' })).status).toBe(404);
    const documents = Array.from({ length: 26 }, (_, number) => ({ id: `m${number}`, text: '' }));
    expect((await post('/v1/analyze:batch', { documents })).status).toBe(400);
  });

  it('puts requests together that come in pieces, and answers each', async () => {
    const request = 'POST /v1/analyze HTTP/1.1\r\nhost: x\r\nContent-Length: 20\r\n\r\n{"id":"m1","text":1}';
    const socket = connect(api.port, '127.0.0.1');
    let answers = '';
    socket.on('data', (chunk) => {
      answers += chunk.toString();
    });
    socket.write(request.slice(0, 30));
    // Another call in between: by then the first piece has been read.
    await post('/v1/analyze', { id: 'm2', text: '' });
    socket.write(request.slice(30) + request);
    await eventually(() => expect(answers.match(/"id":"m1"/g)).toHaveLength(2));
    socket.destroy();
  });

  it('fails, hangs and throttles as ordered, and is well again afterwards', async () => {
    const document = { id: 'm1', text: 'hello' };
    await api.setFaults({ ...NO_FAULTS, error_share: 0.6 });
    expect((await post('/v1/analyze', document)).status).toBe(500);
    await api.setFaults({ ...NO_FAULTS, hang_share: 0.6 });
    const giveUp = new AbortController();
    const hanging = post('/v1/analyze', document, giveUp.signal);
    await eventually(() => expect(api.stats.hangs).toBe(1));
    giveUp.abort();
    await expect(hanging).rejects.toThrow();
    await api.setFaults({ ...NO_FAULTS, throttle_per_s: 0.001, retry_after_s: 7 });
    const refused = await post('/v1/analyze', document);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '7']);
    await api.setFaults(NO_FAULTS);
    expect((await post('/v1/analyze', document)).status).toBe(200);
    expect(api.stats).toMatchObject({ errors: 1, hangs: 1, throttled: 1, answered: 1 });
  });

  it('takes no connections when down, and the same port when it is back', async () => {
    const { port } = api;
    await api.setFaults({ ...NO_FAULTS, down: true });
    await expect(post('/v1/analyze', { id: 'm1', text: '' })).rejects.toThrow();
    await api.setFaults(NO_FAULTS);
    expect(api.port).toBe(port);
    expect((await post('/v1/analyze', { id: 'm1', text: '' })).status).toBe(200);
  });
});

describe('its parts', () => {
  it('read a request only once it is there in full', () => {
    const whole = Buffer.from(
      'POST /v1/analyze HTTP/1.1\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{"id":"a"}rest',
    );
    const end = whole.length - 'rest'.length;
    for (let length = 0; length < end; length++) expect(readRequest(whole.subarray(0, length))).toBeUndefined();
    expect(readRequest(whole)).toEqual({ request: { kind: 'single', ids: ['a'], close: true }, length: end });
  });

  it('hand back what is due in the order of its time', async () => {
    const came: string[] = [];
    const wheel = new DelayWheel<string>(1_000, (due) => came.push(...due));
    wheel.add('late', 60);
    wheel.add('soon', 5);
    wheel.add('middle', 30);
    await eventually(() => expect(came).toEqual(['soon', 'middle', 'late']));
    wheel.add('again', 1);
    await eventually(() => expect(came.at(-1)).toBe('again'));
    wheel.stop();
  });

  it('never hand anything back early, even where the timer was held up', async () => {
    const tookMs: number[] = [];
    const wheel = new DelayWheel<number>(1_000, (due) => {
      for (const addedAtMs of due) tookMs.push(performance.now() - addedAtMs);
    });
    wheel.add(performance.now(), 1);
    const heldUpUntil = performance.now() + 60;
    while (performance.now() < heldUpUntil);
    wheel.add(performance.now(), 50);
    await eventually(() => expect(tookMs).toHaveLength(2));
    wheel.stop();
    // Slots are whole milliseconds.
    expect(tookMs[1]).toBeGreaterThan(48);
  });
});
