import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { systemClock } from '../core/clock.ts';
import type { ChatEvent, ChatOutcome } from '../core/records.ts';
import { eventually } from '../core/testing/eventually.ts';
import { AdminServer } from '../platform/admin-server.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { topicNames } from '../platform/kafka/topics.ts';
import { Metrics } from '../platform/metrics.ts';
import { sampleEvent, sampleInsight } from '../platform/testing/sample-event.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import type { AnalyseRequest, Analysis } from './analyse/analysis.ts';
import type { Receiver } from './analyse/callbacks.ts';
import { readEnricherConfig } from './config.ts';
import { enricherMetrics } from './metrics.ts';
import { connectOutage, type Outage } from './outage/connect.ts';
import { OutcomeEmitter } from './outcome-emitter.ts';
import { RecordProcessor } from './record-processor.ts';

const topics = topicNames('');
const INSIGHT = sampleInsight();
const ANALYSED: Analysis = { kind: 'analysed', insight: INSIGHT, nlpMs: 7, attempts: 1, cacheHit: false };
const EXHAUSTED: Analysis = { kind: 'exhausted', detail: 'it failed', attempts: 5, cause: 'http_500' };
const REJECTED: Analysis = { kind: 'rejected', detail: 'it refused', attempts: 1, cause: 'http_400' };

interface Sent {
  readonly topic: string;
  readonly value: ChatOutcome & ChatEvent;
  readonly headers: Readonly<Record<string, string | Buffer>>;
  readonly ack: () => void;
}

let outage: Outage | undefined;
afterEach(() => outage?.close());

/** A processor between an API that a test scripts and a Kafka whose acks it gives: JSON stands for Avro. */
function bench(
  answer: (request: AnalyseRequest) => Analysis | Promise<Analysis>,
  onOutage: 'degrade' | 'wait' = 'degrade',
) {
  const sent: Sent[] = [];
  const requests: AnalyseRequest[] = [];
  const metrics = enricherMetrics(new Metrics('test'));
  const log = testLog();
  const revive = (_: string, value: unknown) =>
    Array.isArray(value) && value[0] === 'map' ? new Map(value[1]) : value;
  const encode = (record: object) =>
    Buffer.from(JSON.stringify(record, (_, value) => (value instanceof Map ? ['map', [...value]] : value)));
  const codec = {
    encodeEvent: encode,
    encodeOutcome: encode,
    decodeEvent: (value: Buffer) => ({ ok: true, value: JSON.parse(value.toString(), revive) }),
  } as never;
  const post = (record: { topic: string; value: Buffer; headers: Record<string, string> }, ack: () => void) => {
    const { topic, value, headers } = record;
    const parsed = topic === topics.dlq ? {} : JSON.parse(value.toString(), revive);
    sent.push({ topic, value: parsed, headers, ack });
  };
  const send = (record: Parameters<typeof post>[0]) => new Promise<void>((ack) => post(record, ack));
  const producer = { post, send } as never;
  const emitter = new OutcomeEmitter({
    enrichedPartitions: 2,
    codec,
    producer,
    topics,
    metrics,
    clock: systemClock,
    log,
  });
  const config = readEnricherConfig({ NLP_CONCURRENCY: '4', NLP_PROVISIONAL_MARGIN_MS: '60000' });
  outage = connectOutage({ config, emitter, metrics, log, onCalm: () => {} });
  const analyser = {
    analyse: async (request: AnalyseRequest) => {
      requests.push(request);
      return await answer(request);
    },
    probe: (request: AnalyseRequest) => analyser.analyse(request),
    ask: (request: AnalyseRequest, receiver: Receiver<Analysis>) => {
      analyser.analyse(request).then(
        (analysis) => receiver.received(analysis),
        (error: unknown) => receiver.failed(error),
      );
    },
  };
  const parts = { codec, analyser, emitter, ...outage, replayTopic: topics.replay, onOutage, clock: systemClock, log };
  const processor = new RecordProcessor(parts);
  const claim = { topic: topics.events, partition: 3, topicId: 'T'.repeat(22) as TopicId, active: true };
  const replayClaim = { ...claim, topic: topics.replay, topicId: 'R'.repeat(22) as TopicId };
  const process = (event: Partial<ChatEvent> = {}, at: { active: boolean } = claim) => {
    const value = encode(sampleEvent(event));
    const record: FetchedRecord = {
      offset: 9,
      timestamp: 0,
      key: Buffer.from('k'),
      value,
      headers: { traceparent: Buffer.from('tp') },
      size: 1,
    };
    return new Promise<boolean>((received, failed) => processor.process(at as never, record, { received, failed }));
  };
  /** The next `count` records that came to Kafka, in order. */
  const next = (count: number) =>
    eventually(() => {
      expect(sent.length).toBeGreaterThanOrEqual(count);
      return sent.splice(0, count);
    });
  return { process, next, sent, requests, claim, replayClaim, storm: outage.storm, analyser };
}

const place = { topic_id: 'T'.repeat(22), topic: topics.events, partition: 3, offset: 9 };
const REPLAY = { origin: place as never, supersedes: 0, replay_id: 'run', replay_attempt: 1 };

it('fails, to be tried again, where its outcome cannot be encoded', async () => {
  const notJson = { ...INSIGHT, topics: 1n } as never;
  const { process, sent } = bench(() => ({ ...ANALYSED, insight: notJson }) as Analysis);
  await expect(process()).rejects.toThrow('BigInt');
  expect(sent).toEqual([]);
});

it('says nothing of a record whose partition was lost before work on it began', async () => {
  const { process, sent, requests, claim } = bench(() => ANALYSED);
  claim.active = false;
  expect(await process()).toBe(false);
  expect([sent, requests]).toEqual([[], []]);
});

describe('a message while the API is down', () => {
  it('is on chat.replay, acked, before a word is said of a degraded outcome', async () => {
    const { process, next, sent } = bench(() => ({ kind: 'unavailable', attempts: 2 }));
    const done = process({ message_id: 'm1' });
    const [deferral] = await next(1);
    expect(deferral).toMatchObject({
      topic: topics.replay,
      value: { message_id: 'm1', origin: place, supersedes: 0, replay_id: 'deferred', replay_attempt: 1 },
      headers: { traceparent: Buffer.from('tp') },
    });
    await new Promise(setImmediate);
    expect(sent).toEqual([]);
    deferral?.ack();
    const [outcome] = await next(1);
    expect(outcome).toMatchObject({
      topic: topics.enriched,
      value: {
        outcome: 'degraded',
        reason: 'nlp_unavailable',
        revision: 0,
        attempts: 2,
        insight: { model: 'parley-fallback/1' },
      },
      headers: { 'parley-outcome': 'degraded' },
    });
    outcome?.ack();
    expect(await done).toBe(true);
  });

  it('whose partition is lost between the two has nothing said of it', async () => {
    const { process, next, sent, claim } = bench(() => ({ kind: 'unavailable', attempts: 0 }));
    const done = process();
    const [deferral] = await next(1);
    claim.active = false;
    deferral?.ack();
    expect(await done).toBe(false);
    expect(sent).toEqual([]);
  });

  it.each([
    ['a live one, as configured', 'degrade', 'events', 'return'],
    ['a live one that shall wait', 'wait', 'events', 'wait'],
    ['a replay, which is never degraded', 'degrade', 'replay', 'wait'],
  ] as const)('%s', async (_, onOutage, lane, expected) => {
    const { process, next, requests, claim, replayClaim } = bench(() => ANALYSED, onOutage);
    const done = lane === 'replay' ? process(REPLAY, replayClaim) : process({}, claim);
    (await next(1))[0]?.ack();
    expect(await done).toBe(true);
    expect(requests[0]?.onOutage).toBe(expected);
    expect(requests[0]?.hedgeUntilMs).toEqual(lane === 'replay' ? Number.NEGATIVE_INFINITY : expect.any(Number));
  });
});

describe('a message at the edge of its budget', () => {
  it('gets a provisional outcome, then its own, which alone completes it', async () => {
    let answer: (analysis: Analysis) => void = () => {};
    const { process, next } = bench(() => new Promise((resolve) => (answer = resolve)));
    const late = process({ message_id: 'late', deadline_at: Date.now() + 50_000 });
    const [early] = await next(1);
    expect(early).toMatchObject({
      value: { message_id: 'late', outcome: 'degraded', provisional: true, revision: 0 },
      headers: { 'parley-outcome': 'provisional' },
    });
    answer(ANALYSED);
    const [final] = await next(1);
    expect(final).toMatchObject({ value: { message_id: 'late', outcome: 'enriched', provisional: false } });
    final?.ack();
    // The early answer was never acked: nobody waits for it.
    expect(await late).toBe(true);
  });
});

describe('a message that the API fails', () => {
  it.each([
    ['live', EXHAUSTED, 0, 'nlp_exhausted'],
    ['live', REJECTED, 0, 'nlp_rejected'],
    ['first replay', EXHAUSTED, 1, 'nlp_exhausted'],
    ['second replay', REJECTED, 2, 'nlp_rejected'],
    ['third replay', EXHAUSTED, 3, 'replay_exhausted'],
    ['third replay', REJECTED, 3, 'replay_exhausted'],
  ] as const)('%s, %j', async (_, analysis, attempt, reason) => {
    const { process, next, replayClaim, claim } = bench(() => analysis);
    const event = attempt === 0 ? {} : { ...REPLAY, supersedes: attempt - 1, replay_attempt: attempt };
    const done = process(event, attempt === 0 ? claim : replayClaim);
    const both = await next(2);
    const letter = both.find(({ topic }) => topic === topics.dlq);
    const outcome = both.find(({ topic }) => topic === topics.enriched);
    expect(letter?.headers['dlq-reason']).toBe(reason);
    expect(outcome?.value).toMatchObject({ outcome: 'dead_lettered', reason, revision: attempt });
    for (const { ack } of both) ack();
    expect(await done).toBe(true);
  });

  it('has nothing to do with poison, which trips no storm guard and is dead-lettered in a storm as ever', async () => {
    const { process, next, storm } = bench(() => REJECTED);
    const bury = async (count: number) => {
      const done = Array.from({ length: count }, () => process({ speaker: 'ghost' }));
      for (const { ack, topic, headers } of await next(count * 2)) {
        if (topic === topics.dlq) expect(headers['dlq-reason']).toBe('invalid');
        ack();
      }
      expect(new Set(await Promise.all(done))).toEqual(new Set([true]));
    };
    await bury(300);
    expect(storm.state).toBe('calm');
    for (let n = 0; n < 200; n++) storm.failed(false, { stillWanted: () => true });
    expect(storm.state).toBe('storm');
    await bury(3);
  });

  it('probes the API itself, whose answer an equal text would get out of the cache, and says when it first failed', async () => {
    jest.useFakeTimers();
    try {
      const asked: string[] = [];
      let broken = true;
      const { process, sent, storm, analyser } = bench(() => REJECTED);
      Object.assign(analyser, {
        analyse: async () => {
          asked.push('analyse');
          return broken ? REJECTED : { ...ANALYSED, attempts: 0, cacheHit: true };
        },
        probe: async () => {
          asked.push('probe');
          return broken ? REJECTED : ANALYSED;
        },
      });
      for (let n = 0; n < 199; n++) storm.failed(false, { stillWanted: () => true });
      for (let n = 0; n < 4; n++) void process({ message_id: `m${n}`, text: 'the same', deadline_at: Date.now() - 1 });
      await jest.advanceTimersByTimeAsync(0);
      expect([storm.state, storm.held]).toEqual(['storm', 4]);
      const failedAt = Date.now();
      asked.length = 0;
      broken = false;
      await jest.advanceTimersByTimeAsync(15_100);
      expect(asked).toEqual(['probe', 'probe', 'probe', 'analyse']);
      expect(storm.state).toBe('calm');

      broken = true;
      storm.releaseFor(0);
      for (let n = 0; n < 200; n++) storm.failed(false, { stillWanted: () => true });
      void process({ message_id: 'late', text: 'the same', deadline_at: Date.now() - 1 });
      await jest.advanceTimersByTimeAsync(30_000);
      const heldSince = failedAt + 15_100;
      storm.releaseFor(60_000);
      await jest.advanceTimersByTimeAsync(100);
      const letter = sent.find(({ topic }) => topic === topics.dlq);
      expect(Number(letter?.headers['dlq-first-failed-at'])).toBeLessThanOrEqual(heldSince + 100);
      expect(Number(letter?.headers['dlq-failed-at'])).toBeGreaterThanOrEqual(heldSince + 30_000);
    } finally {
      jest.useRealTimers();
    }
  });

  it('waits in a storm, is tried again when an operator releases it, and pauses intake when many wait', async () => {
    let analysis: Analysis = REJECTED;
    const { process, next, sent, storm } = bench(() => analysis);
    for (let n = 0; n < 199; n++) storm.failed(false, { stillWanted: () => true });
    const old = { deadline_at: Date.now() - 1 };
    const done = [process(old), process(old), process(old), process(old)];
    await eventually(() => expect([storm.state, storm.held, storm.isFull]).toEqual(['storm', 4, true]));
    expect(sent).toEqual([]);
    const admin = await AdminServer.start({
      port: 0,
      fallbackToFreePort: false,
      metrics: new Metrics('admin'),
      checks: {},
      accepting: () => true,
      routes: outage?.routes ?? {},
    });
    const post = (path: string, headers = {}) =>
      fetch(`http://127.0.0.1:${admin.port}${path}`, { method: 'POST', headers });
    expect((await post('/storm/release', { origin: 'https://a.page' })).status).toBe(403);
    expect((await post('/storm/release?for_ms=-1')).status).toBe(400);
    expect((await post('/storm/release?for_ms=86400001')).status).toBe(400);
    expect(storm.state).toBe('storm');
    analysis = ANALYSED;
    expect(await (await post('/storm/release?for_ms=0')).json()).toEqual({ was: 'storm', released: 4, grace_ms: 0 });
    for (const { ack, value } of await next(4)) {
      expect(value.outcome).toBe('enriched');
      ack();
    }
    expect(await Promise.all(done)).toEqual([true, true, true, true]);
    expect(await (await fetch(`http://127.0.0.1:${admin.port}/storm`)).json()).toEqual({ state: 'calm', held: 0 });
    await admin.stop();
  });
});
