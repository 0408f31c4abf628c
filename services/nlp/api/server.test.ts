import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { schemaValidator } from '../testing/api-schema.ts';
import { RunningApi } from '../testing/running-api.ts';
import { MAX_BATCH_BODY_BYTES, MAX_SINGLE_BODY_BYTES, MAX_TEXT_UNITS } from './limits.ts';

const isResult = schemaValidator('Result');
const isBatchResult = schemaValidator('BatchResult');
const isError = schemaValidator('Error');

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(() => api.stop());

/** Sends bytes as they are and returns all that comes back. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let reply = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    reply += chunk;
  });
  socket.write(bytes);
  await once(socket, 'close');
  return reply;
}

describe('POST /v1/analyze', () => {
  it('answers a document in the shape of the OpenAPI document', async () => {
    const { status, json, headers } = await api.analyze({ id: 'm-1', text: 'Thank you so much, this is great! 😀' });
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(isResult(json)).toBe(true);
    expect(json).toMatchObject({
      id: 'm-1',
      language: { code: 'en' },
      sentiment: { label: 'positive' },
      intent: { name: 'thanks' },
      toxicity: { score: 0 },
      entities: [{ type: 'emoji', text: '😀', start: 34, end: 36 }],
    });
    expect(json.model).toMatch(/^parley-reference-small\/\d+ /);
  });

  it('ignores unknown fields and takes a hint for what the text does not tell', async () => {
    const { json } = await api.analyze({ id: 'm', text: 'X-200', language: 'de-AT', priority: 9 });
    expect(json.language.code).toBe('de');
  });

  it.each([
    ['empty', ''],
    ['white space', ' \n\t\u3000'],
    ['controls', '\u0000\u0001\u001b[31m\u007f'],
    ['a lone high surrogate', '\ud83d'],
    ['a lone low surrogate in a text', 'ab\ude00cd'],
    ['punctuation', '?!?! ...'],
    ['the longest', 'ab '.repeat(MAX_TEXT_UNITS / 3)],
    ['astral characters to the limit', '😀'.repeat(MAX_TEXT_UNITS / 2)],
  ])('answers a text that is %s', async (_, text) => {
    const { status, json } = await api.analyze({ id: 'm', text });
    expect([status, isResult(json)]).toEqual([200, true]);
    if (!/\p{L}/u.test(text.toWellFormed())) expect(json.language).toEqual({ code: 'und', confidence: 0 });
  });

  it('takes lone surrogates written as escapes, in the id as well', async () => {
    const { status, json } = await api.send('/v1/analyze', { body: '{"id":"\\ud800","text":"hi \\udfff"}' });
    expect([status, json.id]).toEqual([200, '\ud800']);
  });

  it.each([
    ['no JSON', '{"id":', 400, 'invalid_json', /JSON/],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'invalid_json', /UTF-8/],
    ['no object', '[1]', 400, 'invalid_field', /the body is an array/],
    ['no id', '{"text":"x"}', 400, 'invalid_field', /^id is missing.*1 to 512/],
    ['an empty id', '{"id":"","text":"x"}', 400, 'invalid_field', /^id is a string of 0/],
    ['a numeric text', '{"id":"a","text":7}', 400, 'invalid_field', /^text is a number/],
    ['no text', '{"id":"a","text":null}', 400, 'invalid_field', /^text is null/],
    ['a bad language', '{"id":"a","text":"x","language":"de_DE!"}', 400, 'invalid_field', /^language .*BCP 47/],
    ['a long text', JSON.stringify({ id: 'a', text: 'x'.repeat(MAX_TEXT_UNITS + 1) }), 413, 'text_too_long', /16384/],
    ['a large body', `"${'x'.repeat(MAX_SINGLE_BODY_BYTES)}"`, 413, 'body_too_large', /101888 bytes/],
  ])('refuses %s', async (_, body, status, code, message) => {
    const reply = await api.send('/v1/analyze', { body });
    expect([reply.status, reply.json.code]).toEqual([status, code]);
    expect(reply.json.message).toMatch(message);
    expect(isError(reply.json)).toBe(true);
  });

  it('answers a text at its worst encoding', async () => {
    const body = `{"id":"${'\\u0001'.repeat(512)}","text":"${'\\u0001'.repeat(MAX_TEXT_UNITS)}"}`;
    expect(body.length).toBeLessThan(MAX_SINGLE_BODY_BYTES);
    expect((await api.send('/v1/analyze', { body })).status).toBe(200);
  });
});

describe('POST /v1/analyze:batch', () => {
  it('answers good documents beside bad ones', async () => {
    const documents = [{ id: 'a', text: 'Guten Morgen' }, { id: 'b' }, 5, { id: 'c', text: 'Where is my parcel?' }];
    const { status, json } = await api.batch(documents);
    expect(status).toBe(200);
    expect(isBatchResult(json)).toBe(true);
    expect(json.results.map(({ id }: { id: string }) => id)).toEqual(['a', 'c']);
    expect(json.errors).toEqual([
      { id: 'b', index: 1, code: 'invalid_field', message: expect.stringMatching(/^documents\[1\]\.text is missing/) },
      { id: null, index: 2, code: 'invalid_field', message: expect.stringMatching(/^documents\[2\] is a number/) },
    ]);
  });

  it('answers 25 documents and refuses none, 26, and what is no list', async () => {
    const documents = Array.from({ length: 26 }, (_, at) => ({ id: String(at), text: 'ok' }));
    expect((await api.batch(documents.slice(1))).json.results).toHaveLength(25);
    const refused = await Promise.all([api.batch(documents), api.batch([]), api.batch({ a: 1 })]);
    expect(refused.map(({ status, json }) => [status, json.code])).toEqual([
      [413, 'batch_too_large'],
      [400, 'invalid_field'],
      [400, 'invalid_field'],
    ]);
    const tooLarge = await api.send('/v1/analyze:batch', { body: Buffer.alloc(MAX_BATCH_BODY_BYTES + 1, 0x20) });
    expect([tooLarge.status, tooLarge.json.code]).toEqual([413, 'body_too_large']);
  });
});

describe('HTTP', () => {
  it.each([
    ['an unknown path', '/v2/analyze', {}, 404, 'not_found'],
    ['another method', '/v1/analyze', { method: 'GET' }, 405, 'method_not_allowed'],
    [
      'another type',
      '/v1/analyze',
      { headers: { 'content-type': 'text/plain' }, body: 'x' },
      415,
      'unsupported_media_type',
    ],
    [
      'a compressed body',
      '/v1/analyze',
      { headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: 'x' },
      415,
      'unsupported_media_type',
    ],
  ] as const)('refuses %s', async (_, path, options, status, code) => {
    const reply = await api.send(path, options as object);
    expect([reply.status, reply.json.code, isError(reply.json)]).toEqual([status, code, true]);
    expect(reply.headers['allow']).toBe(status === 405 ? 'POST' : undefined);
  });

  it('answers what is not HTTP with a code and closes', async () => {
    expect(await raw(api.server.port, 'HELLO\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*"malformed_request"/s);
    const huge = `POST /v1/analyze HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(80_000)}\r\n\r\n`;
    expect(await raw(api.server.port, huge)).toMatch(/^HTTP\/1\.1 431 .*"headers_too_large"/s);
  });

  it('keeps connections longer than clients do', async () => {
    const { headers } = await api.analyze({ id: 'a', text: 'hi' });
    expect(headers['keep-alive']).toBe('timeout=65');
  });

  it('refuses with 503 and Retry-After what exceeds the bound in flight', async () => {
    const small = await RunningApi.start({ maxInFlight: 2 });
    small.injector.set({ ...small.injector.state.faults, hang_rate: 1 });
    const leave = new AbortController();
    const hanging = [1, 2].map((id) => small.analyze({ id: String(id), text: 'x' }, leave.signal).catch(() => 'left'));
    await eventually(() => expect(small.injector.state.injected.hang).toBe(2));
    const reply = await small.analyze({ id: 'c', text: 'x' });
    expect([reply.status, reply.json.code, reply.headers['retry-after']]).toEqual([503, 'overloaded', '1']);
    leave.abort();
    await Promise.all(hanging);
    await eventually(() => expect(small.server.inFlight).toBe(0));
    await small.stop();
  });

  it('drains: answers what is in flight, cuts what hangs, accepts nothing more', async () => {
    let begun = 0;
    const slow = await RunningApi.start({ latency: () => (begun++ === 0 ? 0 : 100) });
    slow.injector.set({ ...slow.injector.state.faults, hang_rate: 1 });
    const hanging = slow.analyze({ id: 'hangs', text: 'x' }).catch(() => 'cut');
    await eventually(() => expect(slow.injector.state.injected.hang).toBe(1));
    slow.injector.clear();
    const inFlight = [...Array(12).keys()].map((at) => slow.analyze({ id: String(at), text: 'hello' }));
    await eventually(() => expect(begun).toBe(13));
    const stopped = slow.server.stop();
    expect(await hanging).toBe('cut');
    const replies = await Promise.all(inFlight);
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    await expect(slow.analyze({ id: 'late', text: 'x' })).rejects.toThrow(/ECONNREFUSED|closed/);
    await stopped;
    await slow.stop();
  });

  it('never analyses for a caller that has left', async () => {
    const analysed: string[] = [];
    const patient = await RunningApi.start({
      latency: () => 3_600_000,
      routes: new Map([
        [
          '/v1/analyze',
          {
            name: 'analyze',
            maxBodyBytes: 1_000,
            step: (body: Buffer) => {
              analysed.push(body.toString());
              return { status: 200, type: 'text/plain', body: '' };
            },
          },
        ],
      ]),
    });
    const leave = new AbortController();
    const call = patient.analyze({ id: 'a', text: 'x' }, leave.signal).catch(() => 'left');
    await eventually(() => expect(patient.server.inFlight).toBe(1));
    leave.abort();
    expect(await call).toBe('left');
    await eventually(() => expect(patient.requests).toEqual([{ route: 'analyze', status: 'aborted' }]));
    expect(analysed).toEqual([]);
    await patient.stop();
  });
});
