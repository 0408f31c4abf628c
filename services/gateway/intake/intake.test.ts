import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { epochMs } from '../../core/brands.ts';
import { ManualClock } from '../../core/clock.ts';
import { RecordRefusedError } from '../../platform/kafka/produce/batch-producer.ts';
import { createLogger } from '../../platform/logger.ts';
import { REPLY_TO_HEADER } from '../../platform/record-headers.ts';
import { openTracing } from '../../platform/testing/test-tracing.ts';
import type { Tracer } from '../../platform/tracing/tracer.ts';
import { MemoryShares } from '../limits/memory-shares.ts';
import { BucketTable, TokenBucket } from '../limits/token-bucket.ts';
import { HandProducer } from '../testing/hand-producer.ts';
import { clampSentAt, toChatEvent } from './event.ts';
import { Intake } from './intake.ts';
import { KnownMessages, keysOf } from './known-messages.ts';
import type { ValidMessage } from './valid-message.ts';

const NOW = epochMs(1_790_000_000_000);
const WINDOW = { backMs: 86_400_000, aheadMs: 300_000 };
const identity = { tenant: 't', bot: 'b' };

const message = (id: string, conversationId = 'c'): ValidMessage => ({
  id,
  conversationId,
  speaker: 'user',
  text: 'hello',
  sentAt: NOW,
  attempt: 1,
  userId: null,
  channel: null,
  botVersion: null,
  metadata: new Map(),
});

describe('clampSentAt', () => {
  it('keeps what lies in the window and moves the rest to its edge, the original kept', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8_640_000_000_000_000 }), (sentAt) => {
        const { sentAt: clamped, original } = clampSentAt(sentAt, NOW, WINDOW);
        expect(clamped).toBeGreaterThanOrEqual(NOW - WINDOW.backMs);
        expect(clamped).toBeLessThanOrEqual(NOW + WINDOW.aheadMs);
        expect(original ?? clamped).toBe(sentAt);
      }),
    );
    const inside = fc.integer({ min: NOW - 86_400_000, max: NOW + 300_000 });
    fc.assert(
      fc.property(inside, (sentAt) => expect(clampSentAt(sentAt, NOW, WINDOW)).toEqual({ sentAt, original: null })),
    );
    expect(clampSentAt(0, NOW, WINDOW)).toEqual({ sentAt: NOW - 86_400_000, original: 0 });
    expect(clampSentAt(NOW + 300_001, NOW, WINDOW)).toEqual({ sentAt: NOW + 300_000, original: NOW + 300_001 });
  });
});

describe('toChatEvent', () => {
  it('keeps the times of an importer, however old, but none from the future', () => {
    const context = { receivedAt: NOW, sentAtWindow: WINDOW, latencyBudgetMs: 400, resent: false };
    const eventOf = (importer: boolean, sentAt: number) =>
      toChatEvent({ ...message('1'), sentAt }, { ...context, sender: { ...identity, importer } });
    const old = NOW - 90 * 86_400_000;
    expect(eventOf(true, old)).toMatchObject({ sent_at: old, sent_at_original: null });
    expect(eventOf(false, old)).toMatchObject({ sent_at: NOW - 86_400_000, sent_at_original: old });
    expect(eventOf(true, NOW + 600_000)).toMatchObject({ sent_at: NOW + 300_000, sent_at_original: NOW + 600_000 });
  });
});

describe('TokenBucket', () => {
  it('never lets through more than the burst plus the rate over the time', () => {
    const steps = fc.array(fc.record({ waitMs: fc.nat(50), wanted: fc.nat(40) }), { maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 50 }), steps, (rate, burst, plan) => {
        const bucket = new TokenBucket(rate, burst, 0);
        let nowMs = 0;
        let taken = 0;
        for (const { waitMs, wanted } of plan) {
          nowMs += waitMs;
          for (let i = 0; i < wanted; i++) {
            if (bucket.available(nowMs) >= 1) {
              bucket.take();
              taken += 1;
            } else expect(bucket.refuse()).toBeGreaterThanOrEqual(1);
          }
          expect(taken).toBeLessThanOrEqual(burst + (rate * nowMs) / 1_000 + 1e-6);
        }
      }),
    );
  });

  it('sends a later refusal back for longer, and the first until the next token', () => {
    const bucket = new TokenBucket(100, 1, 0);
    bucket.take();
    expect([bucket.refuse(), bucket.refuse(), bucket.refuse()]).toEqual([10, 20, 30]);
    expect(bucket.available(10)).toBe(1);
    bucket.take();
    expect(bucket.refuse()).toBe(10);
  });

  it('does not refill for a clock that goes back', () => {
    const bucket = new TokenBucket(1_000, 1, 100);
    bucket.take();
    expect(bucket.available(50)).toBe(0);
  });
});

describe('BucketTable', () => {
  it('shares a bucket among holders, and a reconnect does not refill it', () => {
    const clock = new ManualClock();
    const table = new BucketTable({ perSecond: 10, burst: 5, clock });
    const first = table.hold('bot');
    for (let i = 0; i < 5; i++) first.take();
    table.release('bot');
    const again = table.hold('bot');
    expect(again).toBe(first);
    expect(again.available(clock.monotonicMs())).toBe(0);
  });

  it('forgets idle buckets that are full again, and no others', () => {
    const clock = new ManualClock();
    const table = new BucketTable({ perSecond: 10, burst: 5, clock });
    const held = table.hold('held');
    for (let i = 0; i < 5_000; i++) {
      table.hold(`bot ${i}`);
      table.release(`bot ${i}`);
    }
    expect(table.size).toBeLessThan(2_100);
    expect(table.hold('held')).toBe(held);
  });
});

describe('keysOf', () => {
  it('differ for any two messages', () => {
    const ids = fc.tuple(fc.string(), fc.string(), fc.string(), fc.string());
    const keyOf = ([tenant, bot, conversation, id]: [string, string, string, string]) =>
      keysOf({ tenant, bot }, message(id, conversation)).messageKey;
    fc.assert(
      fc.property(ids, ids, (a, b) =>
        expect(keyOf(a) === keyOf(b)).toBe(a.join('\n') === b.join('\n') && a.every((it, i) => it === b[i])),
      ),
    );
    expect(keyOf(['a', 'b', 'c', 'd'])).not.toBe(keyOf(['a', 'b', 'c"]d', '']));
  });
});

describe('KnownMessages', () => {
  it('holds no more entries and no more bytes than allowed', () => {
    const byCount = new KnownMessages({ maxEntries: 10, maxBytes: 1 << 20, windowMs: 60_000 });
    const byBytes = new KnownMessages({ maxEntries: 1_000, maxBytes: 5_000, windowMs: 60_000 });
    for (let i = 0; i < 500; i++) {
      byCount.note(`key ${i}`, 'safe');
      byBytes.note('k'.repeat(400) + i, 'safe');
    }
    expect(byCount.size).toBe(10);
    expect(byCount.find('key 499')?.state).toBe('safe');
    expect(byCount.find('key 0')?.state).toBeUndefined();
    expect(byBytes.size).toBe(4);
  });

  it('remembers for the window at least and twice the window at most', () => {
    let nowMs = 0;
    const known = new KnownMessages({ maxEntries: 100, maxBytes: 1 << 20, windowMs: 1_000 }, () => nowMs);
    nowMs = 999;
    known.note('late', 'safe');
    known.note('unsure', 'unclear');
    nowMs = 1_999;
    expect([known.find('late')?.state, known.find('unsure')?.state]).toEqual(['safe', 'unclear']);
    known.note('unsure', 'safe');
    expect(known.find('unsure')?.state).toBe('safe');
    nowMs = 3_000;
    expect([known.find('late')?.state, known.find('unsure')?.state]).toEqual([undefined, 'safe']);
    nowMs = 10_000;
    expect([known.find('unsure')?.state, known.size]).toEqual([undefined, 0]);
  });
});

function intakeWith(producer: HandProducer, tracer?: Tracer, pendingBytes = 64 << 20) {
  const calls: string[] = [];
  const intake = new Intake({
    topic: 'chat.events',
    partitions: () => 12,
    latencyBudgetMs: 400,
    sentAtWindow: WINDOW,
    encode: (event) => Buffer.from(JSON.stringify(event)),
    producer,
    known: new KnownMessages({ maxEntries: 100, maxBytes: 1 << 20, windowMs: 60_000 }),
    shares: new MemoryShares(pendingBytes, { bot: 0.25, tenant: 0.5 }),
    onShareUsedUp: (share) => calls.push(`share of the ${share}`),
    onClamped: () => calls.push('clamped'),
    tracer,
    log: createLogger('test', 'silent'),
  });
  const waiter = (name: string, replyTo?: string) => ({
    replyTo,
    acked: (id: string) => calls.push(`${name} acked ${id}`) > 0,
    unavailable: (id: string) => calls.push(`${name} unavailable ${id}`),
    refused: (id: string, { code }: { code: string }) => calls.push(`${name} refused ${id} ${code}`),
  });
  const accept = (name: string, it: ValidMessage, replyTo?: string, sender = identity) =>
    intake.accept(sender, it, NOW, waiter(name, replyTo)).kind;
  return { intake, calls, accept };
}

describe('Intake', () => {
  it('joins a message in flight: one record, two acks; afterwards it is known', async () => {
    const producer = new HandProducer();
    const { intake, calls, accept } = intakeWith(producer);
    expect(accept('a', message('1'))).toBe('waiting');
    expect(accept('b', message('1'))).toBe('joined');
    expect(accept('c', message('1', 'other conversation'))).toBe('waiting');
    expect(producer.sent).toHaveLength(2);
    expect(calls).toEqual([]);
    for (const { ack } of producer.sent) ack();
    await intake.idle();
    expect(calls.sort()).toEqual(['a acked 1', 'b acked 1', 'c acked 1']);
    expect(accept('d', message('1'))).toBe('known');
    expect(producer.sent).toHaveLength(2);
  });

  it('stamps the record and flags it when it goes out a second time', () => {
    const producer = new HandProducer();
    const { calls, accept } = intakeWith(producer);
    accept('a', { ...message('1'), sentAt: 0, attempt: 4 });
    expect(producer.event(0)).toMatchObject({
      sent_at: NOW - 86_400_000,
      sent_at_original: 0,
      received_at: NOW,
      deadline_at: NOW + 400,
      attempt: 4,
      resent: false,
      origin: null,
    });
    expect(calls).toEqual(['clamped']);
    const resend = producer.sent[0]?.record.resendValue?.();
    expect(JSON.parse(String(resend))).toMatchObject({ resent: true, attempt: 4, sent_at_original: 0 });
  });

  it('says unavailable after an unclear send, and flags the next try even if the client does not', async () => {
    const producer = new HandProducer();
    const { intake, calls, accept } = intakeWith(producer);
    accept('a', message('1'));
    producer.sent[0]?.fail(new Error('no answer'));
    await intake.idle();
    expect(calls).toEqual(['a unavailable 1']);
    expect(accept('a', message('1'))).toBe('waiting');
    expect(producer.event(1)).toMatchObject({ attempt: 1, resent: true });
    producer.sent[1]?.ack();
    await intake.idle();
    expect(accept('a', message('1'))).toBe('known');
  });

  it('refuses for good the one message that Kafka refuses, and takes others as before', async () => {
    const producer = new HandProducer();
    const { intake, calls, accept } = intakeWith(producer);
    accept('a', message('1'));
    accept('b', message('1'));
    accept('a', message('2'));
    producer.sent[0]?.fail(new RecordRefusedError('MESSAGE_TOO_LARGE', 'chat.events', 2_000_000));
    producer.sent[1]?.fail(new RecordRefusedError('INVALID_RECORD', 'chat.events', 200));
    await intake.idle();
    expect(calls).toEqual(['a refused 1 text_too_long', 'b refused 1 text_too_long', 'a refused 2 invalid_field']);
    const results = Array.from({ length: 100 }, (_, i) => accept('a', message(`m${i}`)));
    expect(new Set(results)).toEqual(new Set(['waiting']));
    // Nothing of it can be in the log: sent again, it is no resend.
    accept('a', message('1'));
    expect(producer.event(producer.sent.length - 1)).toMatchObject({ resent: false });
  });

  it('lets only a few probe while Kafka does not answer, and all again after the first ack', async () => {
    const producer = new HandProducer();
    const { intake, accept } = intakeWith(producer);
    accept('a', message('first'));
    producer.sent[0]?.fail(new Error('no answer'));
    await intake.idle();
    const results = Array.from({ length: 100 }, (_, i) => accept('a', message(`m${i}`)));
    expect(results.filter((it) => it === 'waiting')).toHaveLength(64);
    expect(results.filter((it) => it === 'unavailable')).toHaveLength(36);
    for (const { ack } of producer.sent) ack();
    await intake.idle();
    const after = Array.from({ length: 100 }, (_, i) => accept('a', message(`n${i}`)));
    expect(new Set(after)).toEqual(new Set(['waiting']));
  });

  it('refuses what has no room, remembers nothing of it and takes it later', () => {
    const producer = new HandProducer();
    const { intake, accept } = intakeWith(producer);
    producer.room = false;
    expect(accept('a', message('1'))).toBe('overloaded');
    expect([intake.inFlight, producer.sent.length]).toEqual([0, 0]);
    producer.room = true;
    expect(accept('a', message('1'))).toBe('waiting');
  });

  it('refuses a bot, and a tenant, that has its share of the bytes waiting, and takes all others', async () => {
    const producer = new HandProducer();
    const { intake, calls, accept } = intakeWith(producer, undefined, 100_000);
    const flood = (bot: string) =>
      Array.from({ length: 100 }, (_, i) => accept('a', message(`${bot}${i}`), undefined, { tenant: 't', bot })).filter(
        (it) => it === 'waiting',
      ).length;
    const floods = ['b1', 'b2', 'b3'].map(flood);
    expect(floods[0]).toBeGreaterThan(20);
    expect(floods).toEqual([floods[0], floods[0], 0]);
    expect([...new Set(calls)]).toEqual(['share of the bot', 'share of the tenant']);
    expect(accept('a', message('1'), undefined, { tenant: 'other', bot: 'b1' })).toBe('waiting');
    // What is in flight already is joined, not refused: it takes no further room.
    expect(accept('a', message('b10'), undefined, { tenant: 't', bot: 'b1' })).toBe('joined');
    for (const [index, { ack, fail }] of producer.sent.entries()) index % 2 ? ack() : fail(new Error('no answer'));
    await intake.idle();
    expect(accept('a', message('2'), undefined, { tenant: 't', bot: 'b3' })).toBe('waiting');
  });

  it('takes one message that is larger than a share while nothing else of its bot waits', () => {
    const { accept } = intakeWith(new HandProducer(), undefined, 1_000);
    expect([accept('a', message('1')), accept('a', message('2'))]).toEqual(['waiting', 'overloaded']);
  });

  it('puts all messages of a conversation on one partition', () => {
    const producer = new HandProducer();
    const { accept } = intakeWith(producer);
    for (let i = 0; i < 20; i++) accept('a', message(`m${i}`));
    expect(new Set(producer.sent.map(({ record }) => record.partition)).size).toBe(1);
    expect(new Set(producer.sent.map(({ record }) => record.key))).toEqual(new Set(['["t","b","c"]']));
  });
});

describe('a traced message', () => {
  it('begins a trace of its own, whose context its record carries beside the other headers', async () => {
    const { tracer, spans } = await openTracing();
    const producer = new HandProducer();
    const { accept } = intakeWith(producer, tracer);
    accept('a', { ...message('1'), userId: 'user-77', text: 'a secret text' }, 'session-1');
    accept('a', message('2'));
    accept('b', message('2'));
    producer.sent[0]?.ack();
    producer.sent[1]?.fail(Object.assign(new Error('no answer'), { name: 'ProduceTimeoutError' }));
    const [first, second, ...more] = await spans();
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      name: 'send chat.events',
      kind: 'producer',
      parentSpanId: '',
      failed: false,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.destination.name': 'chat.events',
        'messaging.destination.partition.id': String(producer.sent[0]?.record.partition),
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'parley.message_id': '1',
        'parley.tenant_id': 't',
        'parley.bot_id': 'b',
      },
    });
    expect(JSON.stringify(first)).not.toMatch(/secret|user-77/);
    expect(second).toMatchObject({ failed: true, attributes: { 'error.type': 'ProduceTimeoutError' } });
    expect(second?.traceId).not.toBe(first?.traceId);
    expect(producer.sent.map(({ record }) => record.headers)).toEqual([
      { traceparent: `00-${first?.traceId}-${first?.spanId}-01`, [REPLY_TO_HEADER]: 'session-1' },
      { traceparent: `00-${second?.traceId}-${second?.spanId}-01` },
    ]);
  });

  it('is one that was drawn: of others the record says nothing', async () => {
    const { tracer, spans } = await openTracing({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' });
    const producer = new HandProducer();
    const { accept } = intakeWith(producer, tracer);
    accept('a', message('1'));
    accept('a', message('2'), 'session-1');
    for (const { ack } of producer.sent) ack();
    expect(producer.sent.map(({ record }) => record.headers)).toEqual([{}, { [REPLY_TO_HEADER]: 'session-1' }]);
    expect(await spans()).toEqual([]);
  });
});
