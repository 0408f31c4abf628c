import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot } from '../testing/raw-bot.ts';

const doors: FrontDoor[] = [];

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { readonly code?: string; readonly results?: readonly Record<string, unknown>[] };
}

async function opened(env: Record<string, string> = {}) {
  const door = await FrontDoor.open({ DRAIN_TIMEOUT_MS: '1000', ...env });
  doors.push(door);
  const base = `http://127.0.0.1:${door.server.port}`;
  const token = await door.maker.sign();
  const ask = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(base + path, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
  };
  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    ask('/v1/messages', { method: 'POST', body, headers: { authorization: `Bearer ${token}`, ...headers } });
  const postAll = (messages: readonly unknown[]) => post(JSON.stringify({ messages }));
  return { door, token, ask, post, postAll };
}

const message = (id: unknown, change: Record<string, unknown> = {}) => ({
  id,
  conversation_id: 'c',
  speaker: 'user',
  text: 'Hi',
  sent_at: Date.now(),
  ...change,
});

afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
});

describe('POST /v1/messages', () => {
  it('answers each message in order when Kafka has them, refusals among them', async () => {
    const { door, postAll } = await opened();
    const answer = await postAll([
      message('1'),
      message('2', { speaker: 'robot' }),
      message('3', { conversation_id: 'd' }),
      { text: 'nameless' },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.body.results).toMatchObject([
      { id: '1', conversation_id: 'c', status: 'acked' },
      { id: '2', conversation_id: 'c', status: 'nacked', code: 'invalid_field' },
      { id: '3', conversation_id: 'd', status: 'acked' },
      { id: null, conversation_id: null, status: 'nacked', code: 'invalid_field' },
    ]);
    expect(door.producer.sent.map((_, i) => door.producer.event(i).message_id)).toEqual(['1', '3']);
  });

  it('does not answer before Kafka does', async () => {
    const { door, postAll } = await opened();
    door.producer.held = true;
    let answered = false;
    const answer = postAll([message('1')]).finally(() => {
      answered = true;
    });
    await eventually(() => expect(door.producer.sent.length).toBe(1));
    expect(answered).toBe(false);
    door.producer.sent[0]?.ack();
    expect((await answer).body.results).toMatchObject([{ status: 'acked' }]);
  });

  it('counts a message once, over the socket and here, and says where its content differs', async () => {
    const { door, token, postAll } = await opened();
    const bot = await RawBot.open(door.url, token);
    bot.send({ type: 'message', ...message('1') });
    expect(await bot.answerTo('1')).toBe('ack');
    bot.end();
    const { body } = await postAll([message('1'), message('1', { text: 'changed' })]);
    expect(body.results).toEqual([
      { id: '1', conversation_id: 'c', status: 'acked' },
      { id: '1', conversation_id: 'c', status: 'acked', differs: true },
    ]);
    expect(door.producer.sent.length).toBe(1);
  });

  it('takes NDJSON and gzip, and the digits of large ids in both forms', async () => {
    const { door, post } = await opened();
    const line = (id: string) => JSON.stringify(message('x')).replace('"x"', id);
    const [a, b, c, d] = ['9007199254740993', '9007199254740992', '9007199254740995', '9007199254740994'];
    const lines = gzipSync(`\ufeff${line(a)}\n\n${line(b)}\n`);
    const ndjson = await post(lines, { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' });
    expect(ndjson.body.results?.map(({ id }) => id)).toEqual([a, b]);
    const document = await post(`{"messages":[${line(c)},${line(d)}]}`);
    expect(document.body.results?.map(({ id }) => id)).toEqual([c, d]);
    expect(door.producer.sent.length).toBe(4);
  });

  it('refuses what is no batch, is too large or in another encoding, and names it', async () => {
    const { post, postAll, ask } = await opened({ BOT_BURST: '100000' });
    const codeOf = async (answer: Promise<Answer>) => {
      const { status, body } = await answer;
      return [status, body.code];
    };
    expect(await codeOf(post('{"messages":'))).toEqual([400, 'malformed']);
    expect(await codeOf(post('{"message":[]}'))).toEqual([400, 'malformed']);
    expect(await codeOf(postAll([]))).toEqual([400, 'malformed']);
    expect(await codeOf(postAll([1]))).toEqual([400, 'malformed']);
    expect(await codeOf(post('{}\n[]', { 'content-type': 'application/x-ndjson' }))).toEqual([400, 'malformed']);
    expect(await codeOf(post('no gzip', { 'content-encoding': 'gzip' }))).toEqual([400, 'malformed']);
    expect(await codeOf(post('x', { 'content-encoding': 'br' }))).toEqual([415, 'unsupported_encoding']);
    expect(await codeOf(postAll(Array.from({ length: 501 }, () => ({}))))).toEqual([413, 'too_large']);
    expect(await codeOf(post(gzipSync(Buffer.alloc(64 << 20)), { 'content-encoding': 'gzip' }))).toEqual([
      413,
      'too_large',
    ]);
    expect(await codeOf(ask('/v1/messages'))).toEqual([405, 'method_not_allowed']);
    expect(await codeOf(ask('/v1/messages', { method: 'POST', body: '{}' }))).toEqual([401, 'token_missing']);
    expect(await codeOf(ask('/v1/other'))).toEqual([404, 'not_found']);
  });

  it('takes what the rate allows, nacks the rest with a time, and then answers 429 with Retry-After', async () => {
    const { postAll } = await opened({ BOT_MESSAGES_PER_S: '1', BOT_BURST: '5' });
    const { body } = await postAll(Array.from({ length: 8 }, (_, i) => message(`r-${i}`)));
    expect(body.results?.map(({ status, code }) => code ?? status)).toEqual([
      ...Array(5).fill('acked'),
      'rate_limited',
      ...Array(2).fill('overloaded'),
    ]);
    expect(body.results?.[5]?.['retry_after_ms']).toBeGreaterThan(0);
    const later = await postAll([message('later')]);
    expect([later.status, later.body.code]).toEqual([429, 'rate_limited']);
    expect(Number(later.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('keeps the order of a conversation over refusals for now', async () => {
    const { door, postAll } = await opened();
    door.producer.room = false;
    const { body } = await postAll([message('1'), message('2'), message('3')]);
    expect(body.results?.map(({ code }) => code)).toEqual(['overloaded', 'overloaded', 'overloaded']);
  });

  it('bounds the requests of one bot that are being answered', async () => {
    const { door, postAll } = await opened();
    door.producer.held = true;
    const refused: unknown[] = [];
    const answers = Array.from({ length: 12 }, async (_, i) => {
      const answer = await postAll([message(`m-${i}`)]);
      if (answer.status !== 200) refused.push([answer.status, answer.body.code]);
      return answer;
    });
    await eventually(() => expect(door.producer.sent.length).toBe(8));
    // All four: one that comes after the acks would be taken, and wait for an ack of its own.
    await eventually(() => expect(refused).toEqual(Array(4).fill([503, 'overloaded'])));
    for (const { ack } of door.producer.sent) ack();
    const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array(8).fill(200), ...Array(4).fill(503)]);
  });

  it('is finished by a gateway that drains', async () => {
    const { door, postAll, ask } = await opened();
    door.producer.held = true;
    const answer = postAll([message('1')]);
    await eventually(() => expect(door.producer.sent.length).toBe(1));
    const drained = door.server.drain();
    const health = await ask('/healthz').catch(() => undefined);
    expect(health?.status ?? 503).toBe(503);
    door.producer.sent[0]?.ack();
    expect((await answer).status).toBe(200);
    await drained;
  });
});

describe('GET /v1/check', () => {
  it('answers 204 for a token that would be taken, else the refusal with its reason', async () => {
    const { door, ask, token } = await opened();
    const check = async (bearer: string) => {
      const { status, body } = await ask('/v1/check', { headers: { authorization: `Bearer ${bearer}` } });
      return [status, body.code];
    };
    expect(await check(token)).toEqual([204, undefined]);
    expect(await check('junk')).toEqual([401, 'token_invalid']);
    expect(await check(await door.maker.sign({ expiresInS: -60 }))).toEqual([401, 'token_expired']);
    expect(await check(await door.maker.sign({ roles: ['sre'] }))).toEqual([403, 'role_missing']);
  });
});

describe('GET /healthz', () => {
  it('answers 200 on the public port without a token', async () => {
    const { ask } = await opened();
    const { status, body } = await ask('/healthz');
    expect([status, body]).toEqual([200, { status: 'ok' }]);
  });
});
