import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../core/clock.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot } from '../testing/raw-bot.ts';
import { LocalBudget } from './budget.ts';
import { LeasedTokenBuckets } from './leased-token-bucket.ts';
import { RateOverrides } from './rate-overrides.ts';
import { BucketTable, type RateOf } from './token-bucket.ts';

let folder: string;
let file: string;
const doors: FrontDoor[] = [];
const bots: RawBot[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-limits-'));
  file = join(folder, 'limits.json');
});
afterEach(async () => {
  for (const bot of bots.splice(0)) bot.end();
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
  await rm(folder, { recursive: true, force: true });
});

const put = async (entries: object | string) => {
  await writeFile(`${file}.new`, typeof entries === 'string' ? entries : JSON.stringify(entries));
  await rename(`${file}.new`, file);
};
/** One message in twenty minutes, unless the file says otherwise: what is acked was let through by the file. */
const openDoor = async () => {
  const door = await FrontDoor.open({
    LIMITS_FILE: file,
    BOT_MESSAGES_PER_S: '1',
    BOT_BURST: '1',
    DRAIN_TIMEOUT_MS: '500',
  });
  doors.push(door);
  return door;
};
const openBot = async (door: FrontDoor, tenant: string, name: string) => {
  const bot = await RawBot.open(door.url, await door.maker.sign({ tenant, bot: name }));
  bots.push(bot);
  return bot;
};
const sendTo = (bot: RawBot, count: number) => {
  for (let i = 0; i < count; i++) {
    bot.send({ type: 'message', id: `${i}`, conversation_id: 'c', speaker: 'user', text: 'Hi', sent_at: Date.now() });
  }
};
const limitsOf = async (bot: RawBot) => (await bot.frame(({ type }) => type === 'welcome'))['limits'];

describe('LIMITS_FILE', () => {
  it('gives bots and tenants rates of their own, in welcome too, and open sessions new ones when it changes', async () => {
    await put({ bots: [{ tenant: 'acme', bot: 'fast', messages_per_s: 1_000 }] });
    const door = await openDoor();
    const [fast, slow] = [await openBot(door, 'acme', 'fast'), await openBot(door, 'acme', 'slow')];
    expect(await limitsOf(fast)).toMatchObject({ bot_messages_per_s: 1_000, bot_burst: 2_000 });
    expect(await limitsOf(slow)).toMatchObject({ bot_messages_per_s: 1, bot_burst: 1 });
    sendTo(fast, 100);
    sendTo(slow, 100);
    await fast.frame(() => fast.ackedIds.length === 100);
    expect(slow.ackedIds.length).toBeLessThan(50);
    await put({ tenants: [{ tenant: 'acme', messages_per_s: 500, bot_messages_per_s: 300, bot_burst: 200 }] });
    await slow.frame(() => slow.ackedIds.length === 100);
    expect(await limitsOf(await openBot(door, 'acme', 'slow'))).toMatchObject({
      bot_messages_per_s: 300,
      bot_burst: 200,
      tenant_messages_per_s: 500,
    });
    expect(await door.metrics).toMatch(/limits_file_entries\{.*\} 1\n/);
  });

  it('counts on when it is broken; that it cannot be used at the start ends that', async () => {
    await expect(openDoor()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await put({ bots: [{ tenant: 'acme', bot: 'fast', messages_per_s: 0 }] });
    await expect(openDoor()).rejects.toThrow(/bots\.0\.messages_per_s/);
    await put({ tenants: [{ tenant: 'acme', bot_burst: 5 }] });
    await expect(openDoor()).rejects.toThrow(/bot_burst without bot_messages_per_s/);
    await put({ tenants: [{ tenant: 'acme', bot_messages_per_s: 70 }] });
    const door = await openDoor();
    await put('{');
    await eventually(async () => expect(await door.metrics).toMatch(/limits_file_problems_total\{.*\} 1\n/));
    expect(await limitsOf(await openBot(door, 'acme', 'any'))).toMatchObject({ bot_messages_per_s: 70 });
  });
});

describe('the rates of a file', () => {
  it('are those of the bot, else those that its tenant gives its bots', () => {
    const overrides = new RateOverrides(
      JSON.stringify({
        tenants: [{ tenant: 'a', bot_messages_per_s: 5 }],
        bots: [{ tenant: 'a', bot: 'b', messages_per_s: 7, burst: 9 }],
      }),
    );
    expect(overrides.ofBot({ tenant: 'a', bot: 'b' })).toEqual({ perSecond: 7, burst: 9 });
    expect(overrides.ofBot({ tenant: 'a', bot: 'c' })).toEqual({ perSecond: 5, burst: 10 });
    expect(overrides.ofBot({ tenant: 'x', bot: 'b' })).toBeUndefined();
    expect(overrides.ofTenant('a')).toBeUndefined();
  });

  it('are taken over by the buckets of one process, of several, and by what several share; none of it is refilled', async () => {
    const clock = new ManualClock();
    let rate = { perSecond: 10, burst: 10 };
    const rateOf: RateOf = () => rate;
    const table = new BucketTable({ ...rate, clock, rateOf });
    const source = new LocalBudget(rate, clock, rateOf);
    const leased = new LeasedTokenBuckets({ ...rate, clock, rateOf, sharers: 1, source });
    const [whole, part] = [table.hold('t'), leased.hold('t')];
    table.divide('t', 2);
    const nowMs = () => clock.monotonicMs();
    expect([whole.available(nowMs()), part.available(nowMs())]).toEqual([5, 5]);
    whole.take(5);
    expect(await source.lease([['t', 10]])).toEqual([[10, 0]]);
    rate = { perSecond: 1_000, burst: 1_000 };
    for (const it of [table, leased, source]) it.refresh();
    expect([whole.available(nowMs()), part.available(nowMs())]).toEqual([0, 5]);
    clock.advance(100);
    // Half of the new rate, since the bucket is still divided by two.
    expect(whole.available(nowMs())).toBe(50);
    expect(await source.lease([['t', 1_000]])).toEqual([[100, 0]]);
    rate = { perSecond: 4, burst: 4 };
    for (const it of [table, leased, source]) it.refresh();
    expect([whole.available(nowMs()), part.available(nowMs())]).toEqual([2, 2]);
  });
});
