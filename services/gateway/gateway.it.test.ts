import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { globalTransport } from '../client/global-transport.ts';
import { ParleyClient } from '../client/parley-client.ts';
import { conversationKey, partitionOf } from '../core/partitioner.ts';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { RawBot, refusedHandshake, resetHandshake } from './testing/raw-bot.ts';
import { TokenMaker, unsecured, unsigned } from './testing/tokens.ts';
import { readEvents } from './testing/topic-reader.ts';

const { TOPIC_PREFIX } = isolation('gateway');
const { kafkaBrokers, registryUrl } = stack();
const PARTITIONS = 6;

let maker: TokenMaker;
let gateway: ServiceHandle;
let strict: ServiceHandle;

async function spawnGateway(env: Record<string, string> = {}): Promise<ServiceHandle> {
  const service = await spawnService('gateway', {
    TOPIC_PREFIX,
    TOPIC_PARTITIONS: String(PARTITIONS),
    JWT_PUBLIC_KEY: maker.publicKeyPem,
    ...env,
  });
  await service.ready();
  return service;
}

let counter = 0;
const message = (change: Record<string, unknown> = {}) => {
  counter += 1;
  const conversation_id = `c${counter % 40}`;
  return {
    type: 'message',
    id: `m${counter}`,
    conversation_id,
    speaker: 'user',
    text: 'Hi!',
    sent_at: Date.now(),
    ...change,
  };
};

const events = () => readEvents({ kafkaBrokers, registryUrl, prefix: TOPIC_PREFIX });
const metricsOf = async (service: ServiceHandle) => (await fetch(`${service.adminUrl}/metrics`)).text();

beforeAll(async () => {
  maker = await TokenMaker.create();
  gateway = await spawnGateway();
  strict = await spawnGateway({
    MAX_IN_FLIGHT: '4',
    BOT_MESSAGES_PER_S: '50',
    BOT_BURST: '10',
    MAX_MALFORMED_PER_MINUTE: '3',
    MAX_SEND_BUFFER_BYTES: '4096',
    PING_INTERVAL_MS: '300',
    JWT_LEEWAY_S: '0',
    ALLOWED_ORIGINS: 'https://chat.example.com',
    MAX_CONNECTIONS: '3',
    PRODUCE_LINGER_MS: '40',
  });
});

afterAll(stopServices);

describe('a message', () => {
  it('is acked when Kafka has it, on the partition of its conversation, with all its fields', async () => {
    const client = await ParleyClient.connect({ url: gateway.url, token: await maker.sign({ bot: 'writer' }) });
    const sentAt = Date.now() - 1_000;
    const ids = Array.from({ length: 300 }, (_, i) => `ack-${i}`);
    await Promise.all(
      ids.map((id, i) => client.send({ id, conversation_id: `a${i % 30}`, speaker: 'agent', text: `n° ${i} 🙂` })),
    );
    await client.send({
      id: 'full',
      conversation_id: 'full',
      speaker: 'bot',
      text: '',
      sent_at: sentAt,
      user_id: 'u',
      channel: 'web',
      bot_version: '1.2',
      metadata: { k: 'v', constructor: 'c' },
    });
    await client.send({ id: 'late', conversation_id: 'late', speaker: 'user', text: 'x', sent_at: 1_000_000_000_000 });
    expect(client.counters).toMatchObject({ sent: 302, acked: 302, refused: 0, postponed: 0 });
    await client.close();

    const mine = (await events()).filter(({ event }) => event.bot_id === 'writer');
    expect(mine.map(({ event }) => event.message_id).sort()).toEqual([...ids, 'full', 'late'].sort());
    for (const { partition, key, event } of mine) {
      expect(key).toBe(conversationKey('acme', 'writer', event.conversation_id));
      expect(partition).toBe(partitionOf(key, PARTITIONS));
      expect(event.deadline_at - event.received_at).toBe(400);
    }
    const eventOf = (id: string) => mine.find(({ event }) => event.message_id === id)?.event;
    expect(eventOf('full')).toMatchObject({
      tenant_id: 'acme',
      speaker: 'bot',
      text: '',
      sent_at: sentAt,
      sent_at_original: null,
      attempt: 1,
      resent: false,
      user_id: 'u',
      channel: 'web',
      bot_version: '1.2',
      metadata: new Map([
        ['k', 'v'],
        ['constructor', 'c'],
      ]),
    });
    const late = eventOf('late');
    expect(late?.sent_at_original).toBe(1_000_000_000_000);
    expect(late?.sent_at).toBe((late?.received_at ?? 0) - 86_400_000);
  });

  it('is one record however often it comes: joined in flight, known afterwards, apart by conversation', async () => {
    const token = await maker.sign({ bot: 'repeater' });
    const [a, b] = await Promise.all([RawBot.open(gateway.url, token), RawBot.open(gateway.url, token)]);
    const again = message({ id: 'same', conversation_id: 'one' });
    for (const bot of [a, a, b]) bot.send(again);
    expect([await a.answerTo('same'), await b.answerTo('same')]).toEqual(['ack', 'ack']);
    await a.frame(() => a.ackedIds.length === 2);
    b.send({ ...again, attempt: 2 });
    await b.frame(() => b.ackedIds.length === 2);
    b.send({ ...again, conversation_id: 'two' });
    await b.frame(() => b.ackedIds.length === 3);
    for (const bot of [a, b]) bot.end();
    const mine = (await events()).filter(({ event }) => event.bot_id === 'repeater');
    expect(mine.map(({ event }) => event.conversation_id).sort()).toEqual(['one', 'two']);
    const metrics = await metricsOf(gateway);
    expect(metrics).toMatch(/parley_gateway_messages_total\{result="duplicate",.*\} 1\n/);
    expect(metrics).toMatch(/parley_gateway_messages_total\{result="joined",.*\} [12]\n/);
  });

  it('of a bot that resends keeps its attempt', async () => {
    const bot = await RawBot.open(gateway.url, await maker.sign({ bot: 'resender' }));
    bot.send(message({ id: 'again', attempt: 7 }));
    expect(await bot.answerTo('again')).toBe('ack');
    bot.end();
    expect((await events()).find(({ event }) => event.message_id === 'again')?.event.attempt).toBe(7);
  });
});

describe('bad input', () => {
  it('gets its code and disturbs no other message of the session', async () => {
    const bot = await RawBot.open(gateway.url, await maker.sign({ bot: 'clumsy' }));
    const cases: [string, string, unknown][] = [
      ['error', 'malformed', 'not json'],
      ['error', 'malformed', '[1]'],
      ['error', 'malformed', Buffer.from('{}')],
      ['error', 'unknown_type', { type: 'subscribe' }],
      ['error', 'invalid_field', { ...message(), id: '' }],
      ['nack', 'unknown_type', { ...message(), type: 'edit' }],
      ['nack', 'invalid_field', message({ speaker: 'robot' })],
      ['nack', 'invalid_field', message({ sent_at: '1' })],
      ['nack', 'invalid_field', message({ text: 'a\0b' })],
      ['nack', 'invalid_field', message({ sent_at: 1_790_000_000 })],
      ['nack', 'invalid_field', message({ metadata: { k: [1] } })],
      ['nack', 'text_too_long', message({ text: 'x'.repeat(8_193) })],
      ['nack', 'forbidden', message({ tenant_id: 'rival' })],
      ['nack', 'forbidden', message({ bot_id: 'other' })],
    ];
    for (const [, , frame] of cases) {
      if (Buffer.isBuffer(frame)) bot.socket.send(frame);
      else bot.send(frame);
      const good = message();
      bot.send(good);
      expect(await bot.answerTo(good.id)).toBe('ack');
    }
    const answers = bot.frames.filter(({ type }) => type === 'error' || type === 'nack');
    expect(answers.map(({ type, code }) => [type, code])).toEqual(cases.map(([type, code]) => [type, code]));
    for (const { type, message: reason, id, retry_after_ms } of answers) {
      expect(reason).toMatch(/; allowed /);
      expect(retry_after_ms).toBeUndefined();
      expect(typeof id).toBe(type === 'nack' ? 'string' : 'undefined');
    }
    bot.end();
    const mine = (await events()).filter(({ event }) => event.bot_id === 'clumsy');
    expect(mine).toHaveLength(cases.length);
  });

  it('closes 4008 after too many malformed frames and 1009 for one too big', async () => {
    const token = await maker.sign({ bot: 'noisy' });
    const noisy = await RawBot.open(strict.url, token);
    for (let i = 0; i < 4; i++) noisy.send('?');
    expect(await noisy.closed).toEqual({ code: 4008, reason: 'too many malformed frames' });
    expect(noisy.frames.filter(({ type }) => type === 'error')).toHaveLength(4);
    const big = await RawBot.open(strict.url, token);
    big.send(message({ text: 'x'.repeat(600_000) }));
    expect((await big.closed).code).toBe(1009);
    // The bot may see its close before the gateway sees the end of the socket, where it counts.
    await eventually(async () => {
      const metrics = await metricsOf(strict);
      expect(metrics).toMatch(/parley_gateway_closes_total\{code="4008",.*\} 1\n/);
      expect(metrics).toMatch(/parley_gateway_closes_total\{code="1009",.*\} 1\n/);
    });
  });
});

describe('a handshake', () => {
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  it('is refused without a token that holds, and the refusal is logged without the token', async () => {
    const stranger = await TokenMaker.create();
    const hmac = await unsigned()
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(maker.publicKeyPem));
    const cases: [number, string, string | undefined][] = [
      [401, 'token_missing', undefined],
      [401, 'token_expired', await maker.sign({ expiresInS: -60 })],
      [401, 'token_invalid', await maker.sign({ audience: 'other' })],
      [401, 'token_invalid', await maker.sign({ issuer: 'other' })],
      [401, 'token_invalid', await maker.sign({ expiresInS: null })],
      [401, 'token_invalid', unsecured()],
      [401, 'token_invalid', hmac],
      [401, 'token_invalid', await stranger.sign()],
      [403, 'role_missing', await maker.sign({ roles: ['analyst'] })],
    ];
    for (const [status, code, token] of cases) {
      const answer = await refusedHandshake(gateway.url, token === undefined ? {} : bearer(token));
      expect([answer.status, answer.body.code]).toEqual([status, code]);
      expect(answer.body.message).not.toBe('');
    }
    await eventually(() => {
      const refusals = gateway.logs().match(/"message":"handshake refused"/g) ?? [];
      expect(refusals.length).toBeGreaterThanOrEqual(cases.length);
    });
    expect(gateway.logs()).toContain('"code":"role_missing"');
    for (const [, , token] of cases) if (token) expect(gateway.logs()).not.toContain(token.slice(-30));
  });

  it('is refused for a wrong path, subprotocol, one connection too many; plain HTTP gets 426', async () => {
    const token = await maker.sign();
    const wrongPath = await refusedHandshake(gateway.url.replace('/v1/stream', '/v2/stream'), bearer(token));
    expect([wrongPath.status, wrongPath.body.code]).toEqual([404, 'not_found']);
    const wrongProtocol = await refusedHandshake(gateway.url, { ...bearer(token), protocols: ['parley.v9'] });
    expect([wrongProtocol.status, wrongProtocol.body.code]).toEqual([400, 'unsupported_subprotocol']);
    const plain = await fetch(gateway.url.replace('ws:', 'http:'));
    expect([plain.status, ((await plain.json()) as { code: string }).code]).toEqual([426, 'upgrade_required']);

    const bots = await Promise.all([1, 2, 3].map(() => RawBot.open(strict.url, token)));
    const tooMany = await refusedHandshake(strict.url, bearer(token));
    expect([tooMany.status, tooMany.body.code]).toEqual([429, 'too_many_connections']);
    expect(Number(tooMany.headers['retry-after'])).toBeGreaterThan(0);
    for (const bot of bots) bot.end();
    await eventually(async () => {
      expect(await metricsOf(strict)).toMatch(/parley_gateway_connections\{.*\} 0\n/);
    });
  });

  it('disturbs no other bot when its sender resets the connection before the answer', async () => {
    const token = await maker.sign({ bot: 'hasty' });
    const steady = await ParleyClient.connect({ url: gateway.url, token: await maker.sign({ bot: 'steady' }) });
    for (let round = 0; round < 100; round++) {
      await Promise.all([resetHandshake(gateway.url), resetHandshake(gateway.url, token)]);
    }
    await steady.send({ conversation_id: 'c', speaker: 'user', text: 'still here' });
    await steady.close();
    expect(steady.counters).toMatchObject({ acked: 1, reconnects: 0 });
    await eventually(async () => {
      expect(await metricsOf(gateway)).toMatch(/parley_gateway_connections\{.*\} 0\n/);
    });
  });

  it('takes the token as a subprotocol, as browsers have to give it', async () => {
    const token = await maker.sign({ bot: 'browser' });
    const client = await ParleyClient.connect({ url: gateway.url, token, transport: globalTransport });
    await client.send({ conversation_id: 'c', speaker: 'user', text: 'from a page' });
    await client.close();
    expect(client.counters.acked).toBe(1);
  });

  it('announces the limits that hold', async () => {
    const bot = await RawBot.open(strict.url, await maker.sign());
    expect(bot.frames[0]).toMatchObject({
      type: 'welcome',
      limits: {
        max_frame_bytes: 65_536,
        max_text_chars: 8_192,
        max_in_flight: 4,
        bot_messages_per_s: 50,
        bot_burst: 10,
        tenant_messages_per_s: 20_000,
        ping_interval_ms: 300,
      },
    });
    bot.end();
  });
});

describe('a limit', () => {
  it('on messages in flight holds back what is above it', async () => {
    const bot = await RawBot.open(strict.url, await maker.sign({ bot: 'eager' }));
    const burst = Array.from({ length: 8 }, () => message());
    for (const each of burst) bot.send(each);
    expect(await Promise.all(burst.map(({ id }) => bot.answerTo(id)))).toEqual(Array(8).fill('ack'));
    // Two batches of at most four, since Kafka acks a batch at once.
    expect(bot.frames.filter(({ type }) => type === 'ack').length).toBeGreaterThanOrEqual(2);
    bot.end();
  });

  it('on a bot’s rate holds back what is above it: stored once, in order, without a refusal', async () => {
    const client = await ParleyClient.connect({ url: strict.url, token: await maker.sign({ bot: 'fast' }) });
    const one = Array.from({ length: 60 }, (_, i) => ({ ...clientMessage(), id: `f-${i}`, conversation_id: 'one' }));
    await Promise.all(one.map((each) => client.send(each)));
    expect(client.counters).toMatchObject({ acked: 60, refused: 0, postponed: 0 });
    await client.close();
    const mine = (await events()).filter(({ event }) => event.bot_id === 'fast');
    expect(mine.map(({ event }) => event.message_id)).toEqual(one.map(({ id }) => id));
    expect(mine.every(({ event }) => event.attempt === 1)).toBe(true);
  });

  it('on the token’s life closes 4001', async () => {
    const bot = await RawBot.open(strict.url, await maker.sign({ expiresInS: 2 }));
    expect(await bot.closed).toEqual({ code: 4001, reason: 'token expired' });
  });

  it('on silence closes 4102', async () => {
    const bot = await RawBot.open(strict.url, await maker.sign(), { autoPong: false });
    expect(await bot.closed).toEqual({ code: 4102, reason: 'no pong' });
  });
});

const clientMessage = () => {
  const { type: _, ...rest } = message();
  return { ...rest, speaker: 'user' as const };
};

describe('the service', () => {
  it('reports its dependencies, and metrics without ids', async () => {
    const ready = await (await fetch(`${gateway.adminUrl}/readyz`)).json();
    expect(ready).toMatchObject({ ready: true, dependencies: { kafka: { state: 'up' }, registry: { state: 'up' } } });
    const metrics = await metricsOf(gateway);
    expect(metrics).toMatch(/parley_gateway_ack_seconds_count\{.*\} [1-9]/);
    expect(metrics).not.toMatch(/acme|writer|helper/);
  });

  it.each([
    [{ GATEWAY_PORT: 'http' }, 'GATEWAY_PORT is \\"http\\"; allowed is an integer from 0 to 65535'],
    [{ JWT_PUBLIC_KEY: 'abc' }, 'JWT_PUBLIC_KEY is no public key'],
    [{ MAX_IN_FLIGHT: '0' }, 'MAX_IN_FLIGHT is \\"0\\"; allowed is an integer from 1'],
    [{ ALLOWED_ORIGINS: 'example.com' }, 'ALLOWED_ORIGINS is'],
  ])('does not start with %j', async (env, sentence) => {
    const service = await spawnService('gateway', { TOPIC_PREFIX, JWT_PUBLIC_KEY: maker.publicKeyPem, ...env });
    expect(await service.exited).toMatchObject({ code: 2 });
    expect(service.logs()).toContain(sentence);
  });

  it('says so when Kafka is away', async () => {
    const service = await spawnService('gateway', { JWT_PUBLIC_KEY: maker.publicKeyPem, KAFKA_BROKERS: '127.0.0.1:1' });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.logs()).toContain('"code":"KAFKA_UNREACHABLE"');
  });

  it('says which variable moves it when its port is taken', async () => {
    const { port } = new URL(gateway.url);
    const service = await spawnService('gateway', {
      TOPIC_PREFIX,
      TOPIC_PARTITIONS: String(PARTITIONS),
      JWT_PUBLIC_KEY: maker.publicKeyPem,
      GATEWAY_PORT: port,
    });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.logs()).toContain(`GATEWAY_PORT ${port} on 127.0.0.1 is taken by another process`);
  });
});
