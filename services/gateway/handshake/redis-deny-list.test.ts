import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { eventually } from '../../core/testing/eventually.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot, refusedHandshake } from '../testing/raw-bot.ts';
import { hasRedis, RedisServer } from '../testing/redis-server.ts';
import type { TokenClaims } from '../testing/tokens.ts';

const KEY = 'parley:deny';
const leaked = { tenant: 'acme', bot: 'helper', tokenId: 'leaked' };
const sibling = { tenant: 'acme', bot: 'helper', tokenId: 'good' };

it('a deny list in Redis needs to know which Redis', async () => {
  await expect(FrontDoor.open({ DENY_REDIS_KEY: KEY })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

(hasRedis ? describe : describe.skip)('a deny list in Redis (skipped: no redis-server on this machine)', () => {
  let server: RedisServer;
  let redis: Redis;
  const doors: FrontDoor[] = [];
  const bots: RawBot[] = [];

  beforeAll(async () => {
    server = await RedisServer.create();
    redis = new Redis(server.url, { retryStrategy: () => 50 });
    redis.on('error', () => {});
    await eventually(() => redis.ping());
  });
  afterEach(async () => {
    for (const bot of bots.splice(0)) bot.end();
    await Promise.all(doors.splice(0).map((door) => door.server.drain()));
    await redis.del(KEY);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.remove();
  });

  const openDoor = async () => {
    const door = await FrontDoor.open({ DENY_REDIS_KEY: KEY, REDIS_URL: server.url, DRAIN_TIMEOUT_MS: '500' });
    doors.push(door);
    return door;
  };
  const openBot = async (door: FrontDoor, claims: TokenClaims) => {
    const bot = await RawBot.open(door.url, await door.maker.sign(claims));
    bots.push(bot);
    return bot;
  };
  const refusal = async (door: FrontDoor, claims: TokenClaims) => {
    const headers = { authorization: `Bearer ${await door.maker.sign(claims)}` };
    return (await refusedHandshake(door.url, { headers })).body.code;
  };
  const deny = (entries: object | string) =>
    redis.set(KEY, typeof entries === 'string' ? entries : JSON.stringify(entries));
  const failures = (why: string, count: string) =>
    new RegExp(`deny_redis_failures_total\\{why="${why}".*\\} ${count}\n`);

  it('ends sessions and refuses handshakes of all gateways that read it, within two looks; an empty list lets all in', async () => {
    await deny({ tokens: ['leaked'] });
    const [one, two] = [await openDoor(), await openDoor()];
    expect(await refusal(one, leaked)).toBe('token_revoked');
    const open = await Promise.all([openBot(one, sibling), openBot(two, sibling)]);
    await deny({ bots: [{ tenant: 'acme', bot: 'helper' }] });
    for (const bot of open) expect(await bot.closed).toEqual({ code: 4003, reason: 'access_denied' });
    expect(await refusal(two, sibling)).toBe('access_denied');
    await deny({});
    await eventually(async () => bots.push(await openBot(two, leaked)));
  });

  it('counts on when it is broken, gone, or Redis is away, and is read again afterwards', async () => {
    await deny({ tokens: ['leaked'] });
    const door = await openDoor();
    await deny('{"tokens": [');
    await eventually(async () => expect(await door.metrics).toMatch(failures('unusable', '[1-9]')));
    expect(await refusal(door, leaked)).toBe('token_revoked');
    await redis.del(KEY);
    await server.kill();
    await eventually(async () => expect(await door.metrics).toMatch(failures('away', '[1-9]')));
    expect(await refusal(door, leaked)).toBe('token_revoked');
    // Another gateway starts meanwhile: it knows of no list.
    await openBot(await openDoor(), sibling);
    server.start();
    await eventually(() => deny({ tokens: ['good'] }));
    await eventually(async () => expect(await refusal(door, sibling)).toBe('token_revoked'));
    await openBot(door, leaked);
  });
});
