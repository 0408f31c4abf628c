import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import type { Insight } from './frames.ts';
import { globalTransport } from './global-transport.ts';
import { InsightStream } from './insight-stream.ts';
import type { ClientOptions } from './options.ts';
import { ParleyClient } from './parley-client.ts';
import { ScriptedGateway } from './testing/scripted-gateway.ts';

let gateway: ScriptedGateway;
let url: string;
const clients: ParleyClient[] = [];

beforeEach(async () => {
  gateway = new ScriptedGateway();
  url = await gateway.listen();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close({ timeoutMs: 0 })));
  await gateway.stop();
});

async function connect(options: Partial<ClientOptions> = {}): Promise<ParleyClient> {
  const token = options.tokenProvider ? {} : { token: 'secret' };
  const client = await ParleyClient.connect({ url, ...token, backoff: { minMs: 1, maxMs: 20 }, ...options });
  clients.push(client);
  return client;
}

const insight = (id: string, change: Partial<Insight> = {}) => ({
  type: 'insight',
  id,
  conversation_id: 'c',
  outcome: 'enriched',
  provisional: false,
  revision: 0,
  ...change,
});

async function take(stream: AsyncIterable<Insight>, count: number): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of stream) {
    ids.push(id);
    if (ids.length === count) break;
  }
  return ids;
}

describe('insights of a client', () => {
  it('are asked for in the URL, beside what it holds already', async () => {
    await connect();
    await connect({ insights: true });
    await connect({ insights: true, url: `${url}?insights=false&shop=7` });
    expect(gateway.urls).toEqual(['/v1/stream', '/v1/stream?insights=true', '/v1/stream?insights=true&shop=7']);
  });

  it('wait for a reader, come in order, and go on in the next loop', async () => {
    const client = await connect({ insights: true });
    for (const id of ['a', 'b', 'c']) gateway.say(insight(id));
    expect(await take(client.insights, 2)).toEqual(['a', 'b']);
    const rest = take(client.insights, 2);
    gateway.say(insight('d'));
    expect(await rest).toEqual(['c', 'd']);
    const untilTheEnd = take(client.insights, Number.POSITIVE_INFINITY);
    gateway.say(insight('e'));
    await eventually(() => expect(client.counters.insights).toBe(5));
    await client.close();
    expect(await untilTheEnd).toEqual(['e']);
  });

  it('are bounded: the oldest go, counted', async () => {
    const client = await connect({ insights: true, maxBufferedInsights: 3 });
    for (let i = 0; i < 10; i++) gateway.say(insight(`${i}`));
    await eventually(() => expect(client.counters.insights).toBe(10));
    expect([client.insights.buffered, client.counters.insightsDropped]).toEqual([3, 7]);
    expect(await take(client.insights, 3)).toEqual(['7', '8', '9']);
  });

  it('that come again after a reconnect are passed on once; provisional, final and later ones are apart', async () => {
    const seen: string[] = [];
    const client = await connect({
      insights: true,
      listeners: { onInsight: ({ id, provisional, revision }) => seen.push(`${id} ${provisional} ${revision}`) },
    });
    const all = [insight('a', { provisional: true }), insight('a'), insight('a', { revision: 1 }), insight('b')];
    for (const each of all) gateway.say(each);
    await eventually(() => expect(client.counters.insights).toBe(4));
    gateway.last.terminate();
    await eventually(() => expect(gateway.sockets).toHaveLength(2));
    for (const each of [...all, insight('a', { conversation_id: 'other' })]) gateway.say(each);
    await eventually(() => expect(client.counters).toMatchObject({ insights: 5, insightsRepeated: 4 }));
    expect(seen).toEqual(['a true 0', 'a false 0', 'a false 1', 'b false 0', 'a false 0']);
  });

  it('give one to each of several readers', async () => {
    const stream = new InsightStream(10, () => {});
    const [one, two] = [take(stream, 1), take(stream, 1)];
    const { type: _, ...a } = insight('a');
    const { type: __, ...b } = insight('b');
    stream.push(a as Insight);
    stream.push(b as Insight);
    expect([await one, await two]).toEqual([['a'], ['b']]);
  });
});

describe('a token that is about to expire', () => {
  it('is renewed before: the next session is there before the present one is left, once what it sent is answered', async () => {
    let tokens = 0;
    const warnings: number[] = [];
    const client = await connect({
      tokenProvider: () => `token-${++tokens}`,
      listeners: { onTokenExpiring: (inMs) => warnings.push(inMs) },
    });
    const message = (id: string) => ({ id, conversation_id: 'c', speaker: 'user' as const, text: 'Hi' });
    const first = client.send(message('in-flight'));
    await eventually(() => expect(gateway.received).toHaveLength(1));
    gateway.say({ type: 'token_expiring', expires_in_ms: 2 });
    await eventually(() => expect(gateway.sockets).toHaveLength(2));
    const [old] = gateway.sockets;
    const closed = new Promise<number>((resolve) => old?.on('close', resolve));
    gateway.onMessage = ({ id }) => gateway.ack(id);
    // Its welcome has come: what is new waits for the answer to what is in flight.
    gateway.say(insight('barrier'));
    await eventually(() => expect(client.counters.insights).toBe(1));
    const second = client.send(message('afterwards'));
    gateway.say({ type: 'ack', ids: ['in-flight'] }, old);
    await first;
    expect(await closed).toBe(1_000);
    await second;
    expect(gateway.tokens).toEqual(['Bearer token-1', 'Bearer token-2']);
    expect(gateway.received.map(({ id, attempt }) => [id, attempt])).toEqual([
      ['in-flight', 1],
      ['afterwards', 1],
    ]);
    expect([warnings, client.counters.resent, client.counters.renewals]).toEqual([[2], 0, 1]);
  });

  it('is kept where there is no other, until 4001 ends it', async () => {
    const sameToken = await connect({ tokenProvider: () => 'the-only-one' });
    gateway.say({ type: 'token_expiring', expires_in_ms: 2 });
    const noProvider = await connect();
    gateway.say({ type: 'token_expiring', expires_in_ms: 2 });
    gateway.onMessage = ({ id }) => gateway.say({ type: 'ack', ids: [id] }, gateway.sockets[id === 'a' ? 0 : 1]);
    await sameToken.send({ id: 'a', conversation_id: 'c', speaker: 'user', text: 'Hi' });
    await noProvider.send({ id: 'b', conversation_id: 'c', speaker: 'user', text: 'Hi' });
    expect([sameToken.counters.renewals, noProvider.counters.renewals, gateway.sockets.length]).toEqual([0, 0, 2]);
    gateway.sockets[1]?.close(4001);
    await expect(noProvider.send({ conversation_id: 'c', speaker: 'user', text: 'Hi' })).rejects.toMatchObject({
      code: 'token_expired',
    });
  });
});

describe('without the ws package', () => {
  it('a client on the global WebSocket gets its insights too', async () => {
    const client = await connect({ insights: true, transport: globalTransport });
    gateway.say(insight('a'));
    expect(await take(client.insights, 1)).toEqual(['a']);
  });
});
