import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { frame, Wire } from '../fuzz/testing/wire.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot } from '../testing/raw-bot.ts';

const doors: FrontDoor[] = [];
const bots: RawBot[] = [];

async function opened(env: Record<string, string> = {}): Promise<{ door: FrontDoor; bot: RawBot }> {
  const door = await FrontDoor.open({ DRAIN_TIMEOUT_MS: '500', ...env });
  doors.push(door);
  const bot = await RawBot.open(door.url, await door.maker.sign());
  bots.push(bot);
  return { door, bot };
}

const message = (id: unknown, change: Record<string, unknown> = {}) => ({
  type: 'message',
  id,
  conversation_id: 'c',
  speaker: 'user',
  text: 'Hi',
  sent_at: Date.now(),
  ...change,
});

/** As ASCII-only encoders write it. */
const escaped = (frame: unknown): string =>
  JSON.stringify(frame).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const idsOf = (door: FrontDoor) => door.producer.sent.map((_, index) => door.producer.event(index).message_id);

afterEach(async () => {
  for (const bot of bots.splice(0)) bot.end();
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
});

describe('a frame', () => {
  it('that is legal but escaped beyond the announced size is taken, and the acks under way arrive', async () => {
    const { door, bot } = await opened();
    for (let i = 0; i < 50; i++) bot.send(message(`s-${i}`));
    const long = escaped(message('long', { text: '😀'.repeat(8_192) }));
    expect(long.length).toBeGreaterThan(98_000);
    bot.send(long);
    expect(await bot.answerTo('long')).toBe('ack');
    expect(bot.ackedIds.length).toBe(51);
    expect(door.producer.event(50).text).toBe('😀'.repeat(8_192));
    const metadata = Object.fromEntries(
      Array.from({ length: 32 }, (_, i) => [`${'k'.repeat(62)}${i + 10}`, '€'.repeat(1_024)]),
    );
    bot.send(escaped(message('largest', { text: '😀'.repeat(8_192), metadata })));
    expect(await bot.answerTo('largest')).toBe('ack');
  });

  it('whose text is too long is nacked by its id however it is written; only beyond the hard limit it closes 1009', async () => {
    const { bot } = await opened();
    bot.send(escaped(message('too-long', { text: '😀'.repeat(9_000) })));
    expect(await bot.answerTo('too-long')).toBe('text_too_long');
    bot.send(message('after'));
    expect(await bot.answerTo('after')).toBe('ack');
    bot.send(message('hopeless', { text: 'x'.repeat(600_000) }));
    expect((await bot.closed).code).toBe(1009);
  });

  it('that is a heartbeat is answered by pong, a hundred times over', async () => {
    const { bot } = await opened({ MAX_MALFORMED_PER_MINUTE: '3' });
    for (let i = 0; i < 100; i++) bot.send({ type: 'ping' });
    await bot.frame(() => bot.frames.filter(({ type }) => type === 'pong').length === 100);
    bot.send(message('m'));
    expect(await bot.answerTo('m')).toBe('ack');
  });
});

describe('an ack', () => {
  it('names the conversation of each id, and the ids that stand for another content already', async () => {
    const { door, bot } = await opened();
    bot.send(message(7, { conversation_id: 'a' }));
    bot.send(message(7, { conversation_id: 12, text: 'other' }));
    await bot.frame(() => bot.ackedIds.length === 2);
    const acks = () => bot.frames.filter(({ type }) => type === 'ack');
    expect(acks().flatMap((ack) => ack['conversation_ids'])).toEqual(['a', '12']);
    bot.send(message('7', { conversation_id: 'a' }));
    bot.send(message('7', { conversation_id: 'a', text: 'changed' }));
    await bot.frame(() => bot.ackedIds.length === 4);
    expect(acks().flatMap((ack) => ack['differs'] ?? [])).toEqual(['7']);
    // In flight as well as afterwards.
    door.producer.held = true;
    bot.send(message('8'));
    bot.send(message('8', { text: 'changed' }));
    await eventually(() => expect(idsOf(door)).toContain('8'));
    door.producer.sent.at(-1)?.ack();
    await bot.frame(() => bot.ackedIds.length === 6);
    expect(acks().flatMap((ack) => ack['differs'] ?? [])).toEqual(['7', '8']);
    expect(door.producer.sent.length).toBe(3);
  });
});

describe('a bot that sends faster than its rate', () => {
  it('is read more slowly: its messages are stored in their order, without one refusal', async () => {
    const { door, bot } = await opened({ BOT_MESSAGES_PER_S: '100', BOT_BURST: '10' });
    const ids = Array.from({ length: 60 }, (_, i) => `r-${i}`);
    for (const id of ids) bot.send(message(id));
    await bot.frame(() => bot.ackedIds.length === 60);
    expect(idsOf(door)).toEqual(ids);
    expect(bot.frames.filter(({ type }) => type === 'nack')).toEqual([]);
  });

  it('has the order of its conversation kept over refusals, too', async () => {
    const { door, bot } = await opened();
    door.producer.room = false;
    bot.send(message('20'));
    expect(await bot.answerTo('20')).toBe('overloaded');
    door.producer.room = true;
    for (const id of ['21', '22']) bot.send(message(id));
    bot.send(message('x', { conversation_id: 'other' }));
    expect([await bot.answerTo('21'), await bot.answerTo('22'), await bot.answerTo('x')]).toEqual([
      'overloaded',
      'overloaded',
      'ack',
    ]);
    bot.frames.length = 0;
    for (const id of ['20', '21', '22', '23']) bot.send(message(id));
    await bot.frame(() => bot.ackedIds.length === 4);
    expect(idsOf(door)).toEqual(['x', '20', '21', '22', '23']);
  });
});

describe('a client that gets nothing but refusals', () => {
  it('is closed with 4104, each refusal having cost it a message', async () => {
    const { door, bot } = await opened({ MAX_REFUSED_IN_A_ROW: '10', BOT_MESSAGES_PER_S: '1', BOT_BURST: '12' });
    const good = await RawBot.open(door.url, await door.maker.sign({ bot: 'good' }));
    bots.push(good);
    bot.send(message('first'));
    for (let i = 0; i < 10; i++) bot.send(message(`bad-${i}`, { speaker: 'robot' }));
    expect(await bot.closed).toEqual({ code: 4104, reason: 'too many refused frames' });
    expect(bot.nacks('invalid_field').length).toBe(10);
    good.send(message('good'));
    expect(await good.answerTo('good')).toBe('ack');
  });
});

describe('frames that never become whole', () => {
  it('are bounded for all sockets together: the one with the most of them is closed 4103', async () => {
    const { door } = await opened({ MAX_RECEIVING_BYTES: '1048576' });
    const token = await door.maker.sign();
    const wires = await Promise.all([1, 2, 3].map(() => Wire.open(door.url, token)));
    for (const [index, wire] of wires.entries()) {
      wire.write(frame({ payload: Buffer.alloc(350_000 + index * 40_000, 'x'), announce: 500_000n }));
    }
    expect(await wires[2]?.ended).toBe(4103);
    for (const wire of wires) wire.destroy();
    expect(await door.metrics).toMatch(/closes_total\{code="4103",.*\} 1\n/);
  });
});

describe('a client that does not read', () => {
  const GENEROUS = { BOT_MESSAGES_PER_S: '1000000', BOT_BURST: '1000000', TENANT_MESSAGES_PER_S: '1000000' };

  /** Acks of 128 three-byte characters, twice: some tens of thousands fill what the system buffers. */
  async function flood(bot: RawBot): Promise<void> {
    bot.socket.pause();
    for (let i = 0; i < 14_000; i++) {
      bot.send(message(String(i).padStart(128, '€'), { conversation_id: '€'.repeat(128) }));
      if (i % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('is not read on until it reads, and then has lost nothing', async () => {
    const { door, bot } = await opened({ ...GENEROUS, PING_INTERVAL_MS: '600000' });
    await flood(bot);
    const honest = await RawBot.open(door.url, await door.maker.sign({ bot: 'honest' }));
    bots.push(honest);
    honest.send(message('m'));
    expect(await honest.answerTo('m')).toBe('ack');
    expect(bot.socket.bufferedAmount).toBeGreaterThan(0);
    bot.socket.resume();
    await bot.frame(() => bot.ackedIds.length === 14_000, 80_000);
  }, 90_000);

  it('is closed 4101 when all sockets together have too much unsent', async () => {
    const { door, bot } = await opened({ ...GENEROUS, MAX_UNSENT_BYTES: '65536', PING_INTERVAL_MS: '600000' });
    await flood(bot);
    const closed = /parley_gateway_closes_total\{code="4101",.*\} 1\n/;
    await eventually(async () => expect(await door.metrics).toMatch(closed), { timeoutMs: 60_000 });
    expect(door.producer.sent.length).toBeLessThan(14_000);
  }, 90_000);

  it('costs its own bot or tenant sockets alone, before the process has too much unsent', async () => {
    const { door } = await opened({
      ...GENEROUS,
      MAX_UNSENT_BYTES: '4000000',
      TENANT_MEMORY_SHARE: '0.05',
      BOT_MEMORY_SHARE: '0.05',
      PING_INTERVAL_MS: '600000',
    });
    const open = async (claims: { tenant: string; bot: string }) => {
      const bot = await RawBot.open(door.url, await door.maker.sign(claims));
      bots.push(bot);
      return bot;
    };
    const honest = await open({ tenant: 'honest', bot: 'honest' });
    const greedy = await Promise.all(['b1', 'b2'].map((bot) => open({ tenant: 'greedy', bot })));
    for (const each of greedy) await flood(each);
    const usedUp = /parley_gateway_shares_used_up_total\{what="unsent",share="(bot|tenant)",.*\} 2\n/;
    await eventually(async () => expect(await door.metrics).toMatch(usedUp), { timeoutMs: 60_000 });
    for (let i = 0; i < 100; i++) honest.send(message(`h${i}`));
    await honest.frame(() => honest.ackedIds.length === 100);
    expect(await door.metrics).toMatch(/parley_gateway_closes_total\{code="4101",.*\} 2\n/);
  }, 90_000);

  it('gets no answer to a flood of pings in memory either', async () => {
    const { door, bot } = await opened({ PING_INTERVAL_MS: '600000' });
    bot.socket.pause();
    for (let i = 0; i < 150_000; i++) bot.socket.ping(Buffer.alloc(100));
    const honest = await RawBot.open(door.url, await door.maker.sign({ bot: 'honest' }));
    bots.push(honest);
    honest.send(message('m'));
    expect(await honest.answerTo('m')).toBe('ack');
    // The flood is read at the rate of control frames, not faster: most of it waits at its sender.
    expect(bot.socket.bufferedAmount).toBeGreaterThan(0);
  });
});
