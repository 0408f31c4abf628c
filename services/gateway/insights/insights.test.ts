import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { epochMs } from '../../core/brands.ts';
import { Metrics } from '../../platform/metrics.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { InsightFeed } from './insight-feed.ts';
import { RecentSets } from './recent-sets.ts';
import { type Subscriber, Subscribers } from './subscribers.ts';

const outbox = (): Subscriber['outbox'] => ({ unsentBytes: 0, send: jest.fn(() => true) });
const subscriber = (id: string, openedAt = 0, tenant = 'acme', bot = 'b'): Subscriber => ({
  id,
  credentials: { tenant, bot, importer: false, expiresAtS: 0 },
  outbox: outbox(),
  openedAt,
});
const key = (tenant: string, bot: string) => Buffer.from(JSON.stringify([tenant, bot, 'c']));

describe('Subscribers', () => {
  it('give an insight to its sender and to the newest eight that the same bot opened since', () => {
    const all = new Subscribers();
    const sender = subscriber('sender', 100);
    const older = subscriber('older', 50);
    const later = Array.from({ length: 10 }, (_, i) => subscriber(`later-${i}`, 200 + i));
    for (const each of [older, sender, ...later, subscriber('rival', 300, 'rival')]) all.add(each);
    const message = { tenant_id: 'acme', bot_id: 'b', conversation_id: 'c', received_at: 150 };
    const ids = (replyTo: string, of = message) => all.recipients(replyTo, of).map(({ id }) => id);
    const newest = later.slice(2).map(({ id }) => id);
    expect(ids('sender')).toEqual(['sender', ...newest]);
    expect(ids('gone')).toEqual(newest);
    // Its session is here, but the message is another tenant's or another bot's.
    expect(ids('sender', { ...message, tenant_id: 'rival' })).toEqual(['rival']);
    expect(ids('sender', { ...message, bot_id: 'c' })).toEqual([]);
    for (const each of [...later, sender]) all.remove(each);
    expect([all.size, ids('sender')]).toEqual([2, []]);
  });

  it('of a token that is bound to a conversation hear of no other, whoever was the sender', () => {
    const all = new Subscribers();
    const visitor = (id: string, conversationId: string): Subscriber => {
      const { credentials, ...rest } = subscriber(id, 200);
      return { ...rest, credentials: { ...credentials, bound: { conversationId } } };
    };
    for (const each of [visitor('one', 'c-1'), visitor('two', 'c-2'), subscriber('whole', 200)]) all.add(each);
    const of = (conversation_id: string) =>
      all.recipients('gone', { tenant_id: 'acme', bot_id: 'b', conversation_id, received_at: 150 }).map(({ id }) => id);
    expect([of('c-1'), of('c-2'), of('c-3')]).toEqual([['one', 'whole'], ['two', 'whole'], ['whole']]);
  });

  it('are recognised by the key alone where the session is unknown, whatever the key holds', () => {
    const all = new Subscribers();
    all.add(subscriber('s', 0, 'te"nant', 'b\\,"'));
    expect(all.concerns('s', null)).toBe(true);
    expect(all.concerns('t', key('te"nant', 'b\\,"'))).toBe(true);
    for (const other of [null, key('te"nant', 'b'), key('b\\,"', 'te"nant'), Buffer.from('['), Buffer.from('null')]) {
      expect(all.concerns('t', other)).toBe(false);
    }
    expect(all.concerns('t', Buffer.from('[1,2]'))).toBe(false);
  });
});

describe('RecentSets', () => {
  it('keep what came last, within bytes and age', () => {
    const recent = new RecentSets({ maxBytes: 100, maxAgeMs: 1_000 });
    const sets = Array.from({ length: 6 }, (_, i) => Buffer.alloc(30, i));
    for (const [i, set] of sets.entries()) recent.add(set, i * 100);
    expect(recent.all(500)).toEqual(sets.slice(3));
    expect(recent.bytes).toBe(90);
    expect(recent.all(1_450)).toEqual(sets.slice(5));
    expect(recent.all(9_999)).toEqual([]);
    recent.add(Buffer.alloc(500), 10_000);
    // One that is larger than all is not kept: nothing grows beyond the bound.
    expect([recent.bytes, recent.all(10_000)]).toEqual([0, []]);
  });
});

describe('InsightFeed', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('reads nothing without a socket that asks, from ten seconds back with the first, and stops a while after the last', () => {
    const follows: number[] = [];
    let closed = 0;
    const feed = new InsightFeed({
      follow: (since) => {
        follows.push(since);
        return {
          close: async () => {
            closed += 1;
          },
        };
      },
      decode: () => ({ ok: false, reason: 'undecodable', detail: '' }),
      maxUnreadBytes: 1,
      clock: { now: () => epochMs(50_000), monotonicMs: () => 0 },
      metrics: new Metrics('test'),
      log: testLog(),
    });
    expect(follows).toEqual([]);
    const endFirst = feed.open(subscriber('a'));
    const endSecond = feed.open(subscriber('b'));
    expect(follows).toEqual([40_000]);
    endFirst();
    jest.advanceTimersByTime(60_000);
    expect(closed).toBe(0);
    endSecond();
    jest.advanceTimersByTime(20_000);
    const endThird = feed.open(subscriber('c'));
    jest.advanceTimersByTime(60_000);
    expect([closed, follows.length]).toEqual([0, 1]);
    endThird();
    jest.advanceTimersByTime(60_000);
    expect(closed).toBe(1);
    feed.open(subscriber('d'));
    expect(follows).toEqual([40_000, 40_000]);
  });
});
