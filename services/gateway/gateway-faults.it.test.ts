import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ParleyClient } from '../client/parley-client.ts';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { FaultyLink } from '../platform/testing/faulty-link.ts';
import { KafkaProxy } from '../platform/testing/kafka-proxy.ts';
import { RawBot, refusedHandshake } from './testing/raw-bot.ts';
import { TokenMaker } from './testing/tokens.ts';
import { type ReadEvent, readEvents } from './testing/topic-reader.ts';

const { TOPIC_PREFIX } = isolation('gateway_faults');
const { kafkaBrokers, registryUrl } = stack();

let maker: TokenMaker;
let proxy: KafkaProxy;

async function spawnGateway(env: Record<string, string> = {}): Promise<ServiceHandle> {
  const service = await spawnService('gateway', {
    TOPIC_PREFIX,
    TOPIC_PARTITIONS: '6',
    JWT_PUBLIC_KEY: maker.publicKeyPem,
    BOT_MESSAGES_PER_S: '100000',
    BOT_BURST: '100000',
    RECONNECT_SPREAD_MS: '200',
    ...env,
  });
  await service.ready();
  return service;
}

const eventsOf = async (bot: string): Promise<ReadEvent[]> =>
  (await readEvents({ kafkaBrokers, registryUrl, prefix: TOPIC_PREFIX })).filter(({ event }) => event.bot_id === bot);

const metricOf = async (service: ServiceHandle, name: string) => {
  const metrics = await (await fetch(`${service.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (.*)$`, 'm').exec(metrics)?.[1]);
};

const raw = (id: string, text = 'Hi!') => ({
  type: 'message',
  id,
  conversation_id: `c-${id}`,
  speaker: 'user',
  text,
  sent_at: Date.now(),
});

/** The guarantee: what was acked is there, and what is there twice says so, for the sink to drop. */
function expectNothingLost(acked: readonly string[], events: readonly ReadEvent[]): void {
  const byId = Map.groupBy(events, ({ event }) => event.message_id);
  expect(acked.filter((id) => !byId.has(id))).toEqual([]);
  for (const [id, copies] of byId) {
    const unflagged = copies.filter(({ event }) => event.attempt === 1 && !event.resent);
    expect([id, unflagged.length <= 1]).toEqual([id, true]);
  }
}

beforeAll(async () => {
  maker = await TokenMaker.create();
  proxy = await KafkaProxy.start(kafkaBrokers);
});

afterEach(() => proxy.open());

afterAll(async () => {
  await stopServices();
  await proxy.stop();
});

describe('a gateway that is killed', () => {
  it('has lost nothing that it acked, and its clients send the rest again', async () => {
    const token = await maker.sign({ bot: 'survivor' });
    let gateway = await spawnGateway();
    const { port } = new URL(gateway.url);
    const acked: string[] = [];
    const clients = await Promise.all(
      Array.from({ length: 5 }, () =>
        ParleyClient.connect({
          url: gateway.url,
          token,
          backoff: { minMs: 50, maxMs: 500 },
          listeners: { onAck: (id) => acked.push(id) },
        }),
      ),
    );
    const total = 4_000;
    const sending = clients.map(async (client, c) => {
      const settled: Promise<void>[] = [];
      for (let i = c; i < total; i += clients.length) {
        await client.room();
        settled.push(
          client.send({ id: `k${i}`, conversation_id: `k${i % 97}`, speaker: 'user', text: `Message ${i}` }),
        );
        // In steps, so that a kill finds messages in every state.
        if (i % 100 === c) await client.send({ conversation_id: 'step', speaker: 'bot', text: 'step' });
      }
      await Promise.all(settled);
    });
    for (const share of [0.25, 0.6]) {
      await eventually(() => expect(acked.length).toBeGreaterThan(total * share));
      await gateway.kill('SIGKILL');
      const before = [...acked];
      expectNothingLost(before, await eventsOf('survivor'));
      gateway = await spawnGateway({ GATEWAY_PORT: port });
    }
    await Promise.all(sending);
    // A client that is still on its way back when the second kill comes counts both as one.
    expect(clients.every(({ counters }) => counters.reconnects >= 1)).toBe(true);
    await Promise.all(clients.map((client) => client.close()));
    const events = await eventsOf('survivor');
    expectNothingLost(acked, events);
    const ids = new Set(events.map(({ event }) => event.message_id));
    expect(Array.from({ length: total }, (_, i) => `k${i}`).filter((id) => !ids.has(id))).toEqual([]);
    await gateway.kill();
  }, 120_000);
});

describe('a gateway that gets SIGTERM', () => {
  it('says goodbye, refuses what is new, finishes what is in flight, closes 1012 and ends with 0', async () => {
    const gateway = await spawnGateway({ KAFKA_BROKERS: proxy.address });
    const token = await maker.sign({ bot: 'leaver' });
    const [busy, idle] = await Promise.all([RawBot.open(gateway.url, token), RawBot.open(gateway.url, token)]);
    proxy.silence();
    busy.send(raw('in-flight'));
    await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_in_flight')).toBe(1));
    const exited = gateway.kill('SIGTERM');
    expect(await busy.frame(({ type }) => type === 'goaway')).toMatchObject({ closes_in_ms: 100 });
    expect(await idle.closed).toEqual({ code: 1012, reason: 'restart' });
    busy.send(raw('too-late'));
    expect(await busy.answerTo('too-late')).toBe('shutting_down');
    const refused = await refusedHandshake(gateway.url, { headers: { authorization: `Bearer ${token}` } });
    expect([refused.status, refused.body.code]).toEqual([503, 'draining']);
    expect(busy.ackedIds).toEqual([]);
    proxy.open();
    expect(await busy.answerTo('in-flight')).toBe('ack');
    expect(await busy.closed).toEqual({ code: 1012, reason: 'restart' });
    expect(await exited).toMatchObject({ code: 0 });
    expect((await eventsOf('leaver')).map(({ event }) => event.message_id)).toEqual(['in-flight']);
  });

  it('ends within its bound even when Kafka does not come back', async () => {
    const gateway = await spawnGateway({
      KAFKA_BROKERS: proxy.address,
      DRAIN_TIMEOUT_MS: '1000',
      KAFKA_ACK_TIMEOUT_MS: '60000',
    });
    const bot = await RawBot.open(gateway.url, await maker.sign({ bot: 'stuck' }));
    proxy.silence();
    bot.send(raw('never-acked'));
    await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_in_flight')).toBe(1));
    const exit = await gateway.kill('SIGTERM');
    proxy.open();
    expect(bot.ackedIds).toEqual([]);
    expect(exit).toMatchObject({ code: 0 });
  });

  it('hands its clients to the next one', async () => {
    const first = await spawnGateway();
    const { port } = new URL(first.url);
    const client = await ParleyClient.connect({
      url: first.url,
      token: await maker.sign({ bot: 'mover' }),
      backoff: { minMs: 20, maxMs: 200 },
    });
    await client.send({ id: 'before', conversation_id: 'm', speaker: 'user', text: 'before' });
    await first.kill('SIGTERM');
    const after = client.send({ id: 'after', conversation_id: 'm', speaker: 'user', text: 'after' });
    const second = await spawnGateway({ GATEWAY_PORT: port });
    await after;
    expect(client.counters.reconnects).toBe(1);
    await client.close();
    await second.kill();
    expect((await eventsOf('mover')).map(({ event }) => event.attempt)).toEqual([1, 1]);
  });
});

describe('Kafka that does not answer', () => {
  it('fills the bytes that may wait, then new messages are overloaded; all is delivered afterwards', async () => {
    const maxBytes = 200_000;
    const gateway = await spawnGateway({
      KAFKA_BROKERS: proxy.address,
      MAX_PENDING_BYTES: String(maxBytes),
      TENANT_MEMORY_SHARE: '1',
      BOT_MEMORY_SHARE: '1',
      KAFKA_ACK_TIMEOUT_MS: '60000',
      MAX_IN_FLIGHT: '10000',
    });
    const bot = await RawBot.open(gateway.url, await maker.sign({ bot: 'flood' }));
    proxy.silence();
    const ids = Array.from({ length: 400 }, (_, i) => `f${i}`);
    for (const id of ids) bot.send(raw(id, 'x'.repeat(1_000)));
    await eventually(async () => {
      const waiting = await metricOf(gateway, 'parley_gateway_in_flight');
      expect(bot.nacks('overloaded').length + waiting).toBe(400);
    });
    expect(await metricOf(gateway, 'parley_produce_pending_bytes')).toBeLessThanOrEqual(maxBytes);
    const overloaded = bot.nacks('overloaded');
    expect(overloaded.length).toBeGreaterThan(150);
    expect(overloaded.every(({ retry_after_ms }) => (retry_after_ms as number) > 0)).toBe(true);
    expect(bot.ackedIds).toEqual([]);
    proxy.open();
    const taken = ids.filter((id) => !overloaded.some((nack) => nack['id'] === id));
    await bot.frame(() => bot.ackedIds.length === taken.length, 60_000);
    for (const { id } of overloaded) bot.send(raw(String(id)));
    await bot.frame(() => bot.ackedIds.length === ids.length);
    expect([...bot.ackedIds].sort()).toEqual([...ids].sort());
    bot.end();
    await gateway.kill();
    const events = await eventsOf('flood');
    expectNothingLost(ids, events);
  }, 120_000);

  it('is said to be unavailable after a bound, and a client loses nothing over it', async () => {
    const gateway = await spawnGateway({ KAFKA_BROKERS: proxy.address, KAFKA_ACK_TIMEOUT_MS: '1000' });
    const client = await ParleyClient.connect({ url: gateway.url, token: await maker.sign({ bot: 'waiter' }) });
    proxy.silence();
    const ids = Array.from({ length: 150 }, (_, i) => `u${i}`);
    const settled = ids.map((id) => client.send({ id, conversation_id: `u-${id}`, speaker: 'user', text: 'Hello?' }));
    await eventually(() => expect(client.counters.nacks['unavailable']).toBeGreaterThan(150));
    expect(client.counters.acked).toBe(0);
    await eventually(async () => expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503));
    proxy.open();
    await Promise.all(settled);
    expect(client.counters.acked).toBe(150);
    await client.close();
    await eventually(async () => expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200));
    await gateway.kill();
    expectNothingLost(ids, await eventsOf('waiter'));
  }, 120_000);
});

describe('a gateway without the registry', () => {
  it.each(['1', '2'])(
    'stays ready and acks, with %s workers',
    async (workers) => {
      const host = new URL(registryUrl).host;
      const registry = await FaultyLink.start(host);
      const gateway = await spawnGateway({
        SCHEMA_REGISTRY_URL: registryUrl.replace(host, registry.address),
        GATEWAY_WORKERS: workers,
      });
      registry.cut();
      const token = await maker.sign({ bot: `unregistered-${workers}` });
      const client = await ParleyClient.connect({ url: gateway.url, token });
      await client.send({ id: 'r', conversation_id: 'r', speaker: 'user', text: 'Hello?' });
      expect(client.counters.acked).toBe(1);
      expect(await (await fetch(`${gateway.adminUrl}/readyz`)).json()).toMatchObject({
        ready: true,
        dependencies: { kafka: { state: 'up' }, registry: { state: 'down', gates: false } },
      });
      await client.close();
      await gateway.kill();
      await registry.stop();
    },
    120_000,
  );
});
