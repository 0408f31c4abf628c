import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { epochMs } from '../../core/brands.ts';
import { Metrics } from '../../platform/metrics.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { InsightFeed } from './insight-feed.ts';
import { RecentSets } from './recent-sets.ts';
import { type Subscriber, Subscribers } from './subscribers.ts';

const outbox = (): Subscriber['outbox'] => ({ unsentBytes: 0, send: jest.fn(() => true) });

/** @param change its `heardSince` says no unless it is given: nothing has come from its peer. */
const subscriber = (id: string, change: Partial<Subscriber> & { tenant?: string; bot?: string } = {}): Subscriber => {
  const { tenant = 'acme', bot = 'b', ...rest } = change;
  return {
    id,
    credentials: { tenant, bot, importer: false, expiresAtS: 0 },
    outbox: outbox(),
    openedAt: 0,
    resumes: undefined,
    heardSince: () => false,
    ...rest,
  };
};
const key = (tenant: string, bot: string) => Buffer.from(JSON.stringify([tenant, bot, 'c']));
const message = { tenant_id: 'acme', bot_id: 'b', conversation_id: 'c', received_at: 150 };

/** The ids of the sender and the others. */
function addresseesOf(all: Subscribers, replyTo: string, of = message) {
  const { sender, named, heirs } = all.addressees(replyTo, of);
  return [sender?.id, ...[...named, ...heirs].map(({ id }) => id)];
}

describe('Subscribers', () => {
  it('have as heirs the newest eight that the same bot opened since, where nobody says whom he continues', () => {
    const all = new Subscribers();
    const sender = subscriber('sender', { openedAt: 100 });
    const older = subscriber('older', { openedAt: 50 });
    const later = Array.from({ length: 10 }, (_, i) => subscriber(`later-${i}`, { openedAt: 200 + i }));
    for (const each of [older, sender, ...later, subscriber('rival', { openedAt: 300, tenant: 'rival' })])
      all.add(each);
    const newest = later.slice(2).map(({ id }) => id);
    expect(addresseesOf(all, 'sender')).toEqual(['sender', ...newest]);
    expect(addresseesOf(all, 'gone')).toEqual([undefined, ...newest]);
    // Its session is here, but the message is another tenant's or another bot's.
    expect(addresseesOf(all, 'sender', { ...message, tenant_id: 'rival' })).toEqual([undefined, 'rival']);
    expect(addresseesOf(all, 'sender', { ...message, bot_id: 'c' })).toEqual([undefined]);
    for (const each of [...later, sender]) all.remove(each);
    expect([all.size, addresseesOf(all, 'sender')]).toEqual([2, [undefined]]);
  });

  it('have as heirs those that named the sender, whenever they came, and nobody else then', () => {
    const all = new Subscribers();
    const named = (id: string, ...resumes: string[]) => subscriber(id, { openedAt: 200, resumes });
    for (const each of [subscriber('old client', { openedAt: 200 }), named('nobody’s'), named('other’s', 'x')]) {
      all.add(each);
    }
    expect(addresseesOf(all, 'gone')).toEqual([undefined, 'old client']);
    all.add(subscriber('heir', { openedAt: 100, resumes: ['x', 'gone'] }));
    all.add(named('second heir', 'gone'));
    all.add(subscriber('thief', { openedAt: 300, resumes: ['gone'], tenant: 'rival' }));
    all.add(subscriber('colleague', { openedAt: 300, resumes: ['gone'], bot: 'c' }));
    expect(addresseesOf(all, 'gone')).toEqual([undefined, 'heir', 'second heir']);
    expect(addresseesOf(all, 'x')).toEqual([undefined, 'other’s', 'heir']);
  });

  it('of a token that is bound to a conversation hear of no other, whoever was the sender', () => {
    const all = new Subscribers();
    const visitor = (id: string, conversationId: string): Subscriber => {
      const { credentials, ...rest } = subscriber(id, { openedAt: 200 });
      return { ...rest, credentials: { ...credentials, bound: { conversationId } } };
    };
    for (const each of [visitor('one', 'c-1'), visitor('two', 'c-2'), subscriber('whole', { openedAt: 200 })]) {
      all.add(each);
    }
    const of = (conversation_id: string) => addresseesOf(all, 'gone', { ...message, conversation_id }).slice(1);
    expect([of('c-1'), of('c-2'), of('c-3')]).toEqual([['one', 'whole'], ['two', 'whole'], ['whole']]);
  });

  it('find the same addressees as a search through all of them, whoever comes and goes', () => {
    const name = fc.nat(5).map(String);
    const step = fc.record({
      id: name,
      tenant: fc.constantFrom('acme', 'rival'),
      bot: fc.constantFrom('b', 'c'),
      resumes: fc.option(fc.array(name, { maxLength: 3 }), { nil: undefined }),
      leaves: fc.boolean(),
      replyTo: name,
      sinceLast: fc.nat(2),
      age: fc.nat(4),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (plan) => {
        const all = new Subscribers();
        const here: Subscriber[] = [];
        let now = 100;
        for (const { id, tenant, bot, resumes, leaves, replyTo, sinceLast, age } of plan) {
          now += sinceLast;
          const [found] = here.filter((it) => it.id === id);
          if (found && leaves) {
            all.remove(found);
            here.splice(here.indexOf(found), 1);
          } else if (!found) {
            here.push(subscriber(id, { tenant, bot, resumes, openedAt: now }));
            all.add(here.at(-1) as Subscriber);
          }
          const same = here.filter(({ credentials }) => credentials.tenant === 'acme' && credentials.bot === 'b');
          const others = same.filter((it) => it.id !== replyTo);
          const named = same.filter((it) => it.resumes?.includes(replyTo));
          const since = others.filter((it) => it.resumes === undefined && it.openedAt >= now - age);
          const heirs = named.length > 0 ? [] : since;
          const sender = same.find((it) => it.id === replyTo)?.id;
          expect(addresseesOf(all, replyTo, { ...message, received_at: now - age })).toEqual([
            sender,
            ...[...named, ...heirs].map((it) => it.id),
          ]);
          if (sender || named.length + heirs.length > 0) expect(all.concerns(replyTo, key('acme', 'b'))).toBe(true);
          expect(all.size).toBe(here.length);
        }
      }),
    );
  });

  it('say to another process who is there: the sender if it was heard since, else one that continues it', () => {
    const all = new Subscribers();
    const wanted = { session: 's', tenant: 'acme', bot: 'b', since: 100 };
    const sender = subscriber('s', { heardSince: (ms) => ms <= 100 });
    expect(all.presenceOf(wanted)).toBeNull();
    all.add(sender);
    expect([all.presenceOf(wanted), all.presenceOf({ ...wanted, since: 101 })]).toEqual(['sender', null]);
    expect([all.presenceOf({ ...wanted, bot: 'c' }), all.presenceOf({ ...wanted, tenant: 't' })]).toEqual([null, null]);
    all.add(subscriber('heir', { resumes: ['s'] }));
    all.remove(sender);
    expect([all.presenceOf(wanted), all.presenceOf({ ...wanted, bot: 'c' })]).toEqual(['heir', null]);
  });

  it('are recognised by the key alone where the session is unknown, whatever the key holds', () => {
    const all = new Subscribers();
    all.add(subscriber('s', { tenant: 'te"nant', bot: 'b\\,"' }));
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
    const endFirst = feed.open(subscriber('a'), undefined);
    const endSecond = feed.open(subscriber('b'), undefined);
    expect(follows).toEqual([40_000]);
    endFirst();
    jest.advanceTimersByTime(60_000);
    expect(closed).toBe(0);
    endSecond();
    jest.advanceTimersByTime(20_000);
    const endThird = feed.open(subscriber('c'), undefined);
    jest.advanceTimersByTime(60_000);
    expect([closed, follows.length]).toEqual([0, 1]);
    endThird();
    jest.advanceTimersByTime(60_000);
    expect(closed).toBe(1);
    feed.open(subscriber('d'), undefined);
    expect(follows).toEqual([40_000, 40_000]);
  });
});
