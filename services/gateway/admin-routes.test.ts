import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { AdminServer } from '../platform/admin-server.ts';
import { adminRoutes } from './admin-routes.ts';
import { FrontDoor } from './testing/front-door.ts';
import { RawBot } from './testing/raw-bot.ts';

let door: FrontDoor;
let admin: AdminServer;
let bots: RawBot[];

beforeEach(async () => {
  door = await FrontDoor.open({ DRAIN_TIMEOUT_MS: '500', DRAIN_HANDOVER_MS: '100' });
  bots = [];
  admin = await AdminServer.start({
    port: 0,
    fallbackToFreePort: false,
    metrics: door.registry,
    checks: {},
    accepting: () => true,
    routes: adminRoutes({
      disconnect: async (selector) => ({ sessions: door.server.disconnect(selector), unanswered: 0 }),
      sendAway: async (request) => ({ sessions: door.server.sendAway(request), unanswered: 0 }),
    }),
  });
});
afterEach(async () => {
  for (const bot of bots) bot.end();
  await door.server.drain();
  await admin.stop();
});

const open = async (tenant: string, bot: string, tokenId: string) => {
  const opened = await RawBot.open(door.url, await door.maker.sign({ tenant, bot, tokenId }));
  bots.push(opened);
  return opened;
};
const post = async (path: string) => {
  const answer = await fetch(`http://127.0.0.1:${admin.port}${path}`, { method: 'POST' });
  return { status: answer.status, body: (await answer.json()) as { sessions?: number; error?: string } };
};

describe('POST /disconnect', () => {
  it('ends the sessions that fit all that is given, and no other', async () => {
    const [a, b, c] = [await open('acme', 'x', '1'), await open('acme', 'x', '2'), await open('rival', 'x', '3')];
    expect(await post('/disconnect?tenant=acme&bot=x&token=2')).toEqual({
      status: 200,
      body: { sessions: 1, unanswered: 0 },
    });
    expect(await b?.closed).toEqual({ code: 1012, reason: 'disconnected by an operator' });
    expect(await post('/disconnect?bot=x')).toMatchObject({ body: { sessions: 2 } });
    await Promise.all([a?.closed, c?.closed]);
    expect(await door.metrics).toMatch(/sessions_ended_total\{reason="operator".*\} 3\n/);
  });
});

describe('POST /goaway', () => {
  it('sends a share of the sessions away, each after its last ack; the others go on', async () => {
    for (let i = 0; i < 8; i++) await open(i < 4 ? 'acme' : 'rival', `bot-${i}`, `${i}`);
    door.producer.held = true;
    const frame = { type: 'message', id: 'm', conversation_id: 'c', speaker: 'user', text: 'Hi', sent_at: Date.now() };
    for (const [index, bot] of bots.entries()) bot.send({ ...frame, conversation_id: `c${index}` });
    expect(await post('/goaway?share=0.5&over=1ms&tenant=acme')).toMatchObject({ body: { sessions: 2 } });
    const away = () => bots.filter(({ frames }) => frames.some(({ type }) => type === 'goaway'));
    await bots[0]?.frame(() => away().length === 2 && door.producer.sent.length === 8);
    for (const record of door.producer.sent) record.ack();
    for (const bot of away()) expect(await bot.closed).toEqual({ code: 1012, reason: 'restart' });
    expect(bots.every(({ ackedIds }) => ackedIds.includes('m'))).toBe(true);
    expect(away().every((bot) => bots.indexOf(bot) < 4)).toBe(true);
    await eventually(() => expect(door.server.connections).toBe(6));
  });
});

it.each([
  ['/disconnect', 'which sessions? Give one or more of tenant, bot, token'],
  ['/disconnect?tenent=acme', 'there is no tenent here; allowed are tenant, bot, token'],
  ['/goaway', 'share is ""; allowed is a number above 0, 1 at most'],
  ['/goaway?share=2', 'share is "2"; allowed is a number above 0, 1 at most'],
  ['/goaway?share=1&over=1h', 'over is "1h"; allowed is a duration such as 30s, 10m at most'],
])('POST %s is refused: %s', async (path, error) => {
  expect(await post(path)).toEqual({ status: 400, body: { error } });
});
