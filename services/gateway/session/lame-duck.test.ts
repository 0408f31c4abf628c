import { afterEach, describe, expect, it } from '@jest/globals';
import { ParleyClient } from '../../client/parley-client.ts';
import type { Transport } from '../../client/transport.ts';
import { wsTransport } from '../../client/ws-transport.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { Places } from '../limits/connection-places.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot, refusedHandshake } from '../testing/raw-bot.ts';
import { type ControlledSession, depart, departureOf } from './session-control.ts';

const doors: FrontDoor[] = [];
const bots: RawBot[] = [];
const clients: ParleyClient[] = [];

afterEach(async () => {
  for (const bot of bots.splice(0)) bot.end();
  await Promise.all(clients.splice(0).map((client) => client.close({ timeoutMs: 0 })));
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
});

async function openDoor(
  env: Record<string, string> = {},
  shared: Parameters<typeof FrontDoor.open>[1] = {},
): Promise<FrontDoor> {
  const door = await FrontDoor.open({ DRAIN_TIMEOUT_MS: '2000', DRAIN_HANDOVER_MS: '300', ...env }, shared);
  doors.push(door);
  return door;
}

async function openBot(door: FrontDoor): Promise<RawBot> {
  const bot = await RawBot.open(door.url, await door.maker.sign());
  bots.push(bot);
  return bot;
}

const message = (id: string) => ({ id, conversation_id: 'c', speaker: 'user' as const, text: 'Hi' });
const frame = (id: string) => ({ type: 'message', sent_at: Date.now(), ...message(id) });
const health = async ({ url }: FrontDoor) => await fetch(url.replace('ws:', 'http:').replace('/v1/stream', '/healthz'));

describe('a gateway that will drain', () => {
  it('says so to load balancers first: handshakes and messages are still taken, and no connection is kept alive', async () => {
    const door = await openDoor();
    const before = await openBot(door);
    expect((await health(door)).headers.get('connection')).toBe('keep-alive');
    door.server.announceDrain();
    const answer = await health(door);
    expect([answer.status, await answer.json(), answer.headers.get('connection')]).toEqual([
      503,
      { status: 'draining' },
      'close',
    ]);
    const late = await openBot(door);
    for (const [index, bot] of [before, late].entries()) {
      bot.send(frame(`m${index}`));
      expect(await bot.answerTo(`m${index}`)).toBe('ack');
    }
  });
});

describe('a gateway that drains', () => {
  it('takes messages for the handover, then nacks them, answers all and closes 1012', async () => {
    const door = await openDoor();
    const bot = await openBot(door);
    door.producer.held = true;
    const drained = door.server.drain();
    expect(await bot.frame(({ type }) => type === 'goaway')).toEqual({
      type: 'goaway',
      reconnect_after_ms: 0,
      closes_in_ms: 300,
    });
    bot.send(frame('in time'));
    await eventually(() => expect(door.producer.sent).toHaveLength(1));
    const headers = { authorization: `Bearer ${await door.maker.sign()}` };
    expect(await refusedHandshake(door.url, { headers })).toMatchObject({ status: 503, body: { code: 'draining' } });
    await eventually(async () => {
      bot.send(frame('too late'));
      expect(bot.nacks('shutting_down').length).toBeGreaterThan(0);
    });
    for (const record of door.producer.sent) record.ack();
    expect(await bot.closed).toEqual({ code: 1012, reason: 'restart' });
    expect(bot.ackedIds).toContain('in time');
    await drained;
    expect(await door.metrics).toMatch(/goaways_total\{end="closed".*\} 1\n/);
  });

  it('loses no client of ours a message: each opens its next session elsewhere and leaves by itself', async () => {
    // A session that is younger than 10 s is followed after up to half a second.
    const old = await openDoor({ DRAIN_TIMEOUT_MS: '8000', DRAIN_HANDOVER_MS: '2000' });
    const next = await openDoor({ JWT_PUBLIC_KEY: old.maker.publicKeyPem });
    const token = await old.maker.sign();
    // In the place of a load balancer.
    let url = old.url;
    const transport: Transport = {
      seesPings: true,
      open: (_, token, events) => wsTransport.open(url, token, events),
    };
    const count = 20;
    for (let i = 0; i < count; i++) {
      clients.push(await ParleyClient.connect({ url, token, transport }));
    }
    const send = (round: number) =>
      Promise.all(clients.map((client, index) => client.send(message(`${index}-${round}`))));
    await send(0);
    url = next.url;
    const drained = old.server.drain();
    for (let round = 1; old.server.connections > 0; round++) await send(round);
    await drained;
    await send(1_000_000);
    const sum = (pick: 'acked' | 'sent' | 'reconnects' | 'resent' | 'postponed') =>
      clients.map(({ counters }) => counters[pick]).reduce((a, b) => a + b);
    expect(sum('acked')).toBe(sum('sent'));
    expect([sum('reconnects'), sum('resent'), sum('postponed')]).toEqual([count, 0, 0]);
    const ids = [old, next].flatMap(({ producer }) => producer.sent.map((_, i) => producer.event(i).message_id));
    expect(new Set(ids).size).toBe(sum('acked'));
    expect(ids.length).toBe(sum('acked'));
    expect(await old.metrics).toMatch(new RegExp(`goaways_total\\{end="left".*\\} ${count}\\n`));
  });

  it('gives the place of a session that is sent away to its successor, also where a bot may have one only', async () => {
    const limits = { connections: 10, tenantConnections: 10, botConnections: 1 };
    const door = await openDoor({}, { places: new Places(limits), placeLimits: limits });
    const client = await ParleyClient.connect({ url: door.url, token: await door.maker.sign() });
    clients.push(client);
    expect(door.server.sendAway({ share: 1, overMs: 1 })).toBe(1);
    await eventually(() => expect(client.counters.reconnects).toBe(1));
    await eventually(() => expect(door.server.connections).toBe(1));
    expect(await door.metrics).toMatch(/handshakes_total\{result="accepted".*\} 2\n/);
    // The place that was given up is not given back a second time.
    const headers = { authorization: `Bearer ${await door.maker.sign()}` };
    expect((await refusedHandshake(door.url, { headers })).body.code).toBe('too_many_bot_connections');
  });
});

describe('the departure of sessions', () => {
  it.each([
    [20_000, { overMs: 5_000, handoverMs: 2_000 }],
    [300, { overMs: 300, handoverMs: 2_000 }],
    [0, { overMs: 0, handoverMs: 2_000 }],
  ])('of %s is spread at a thousand a second, within five seconds', (sessions, departure) => {
    expect(departureOf(sessions, { spreadMs: 5_000, handoverMs: 2_000, boundMs: 15_000 })).toEqual(departure);
  });

  it('leaves a quarter of the bound to what is in flight, whatever is configured', () => {
    for (const boundMs of [100, 1_000, 15_000, 120_000]) {
      const { overMs, handoverMs } = departureOf(1e6, { spreadMs: 600_000, handoverMs: 60_000, boundMs });
      expect(overMs + handoverMs).toBeLessThanOrEqual(boundMs * 0.75);
    }
  });

  it('is paced: one after another, at even distances', async () => {
    const said: number[] = [];
    const all = Promise.withResolvers<void>();
    const sessions = Array.from({ length: 10 }, (_, index): ControlledSession => {
      const goaway = () => {
        if (said.push(index) === 10) all.resolve();
      };
      return { credentials: {} as never, goaway, close: () => {}, refuse: () => {}, letGo: () => {} };
    });
    depart(sessions, { overMs: 200, handoverMs: 0 }, () => 0.5);
    await new Promise((resolve) => setImmediate(resolve));
    expect(said).toEqual([]);
    await all.promise;
    expect(said).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
