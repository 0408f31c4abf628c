import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeLedger } from '../core/ledger-metadata.ts';
import { LEDGER_SPAN } from '../core/offset-ledger.ts';
import type { ChatOutcome } from '../core/records.ts';
import { eventually } from '../core/testing/eventually.ts';
import { type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { KafkaAdmin } from '../platform/kafka/testing/kafka-admin.ts';
import { groupNames } from '../platform/kafka/topics.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { parleyAnswer, REJECTION } from '../platform/testing/scripted-nlp.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import { MAX_QUEUED } from './config.ts';
import { type Bench, closeBenches, openBench, outcomesOf, PARTITIONS, produce } from './testing/bench.ts';

let kafka: Kafka;

const bench = (name: string) => openBench(kafka, name);

/**
 * For tests in which a time-out would be one too many. Node accepts one connection in a turn of the event loop, and the
 * API runs in this process: on a busy machine hundreds of new connections wait for longer than the usual 2 s.
 */
const PATIENT = { NLP_TIMEOUT_MS: '60000', NLP_HALF_OPEN_AFTER_MS: '70000' };
/** No rebalance because a busy machine held the process up: where nothing is killed. */
const STEADY = { GROUP_SESSION_TIMEOUT_MS: '30000' };

/** The guarantee of the enricher: each source has an outcome; how many repeats there are is the caller's to judge. */
async function expectEverySourceDone(at: Bench, count: number): Promise<{ repeats: number; outcomes: ChatOutcome[] }> {
  return eventually(
    async () => {
      const outcomes = await outcomesOf(at);
      const sources = new Set(outcomes.map(({ source }) => `${source.topic}/${source.partition}/${source.offset}`));
      expect(sources.size).toBe(count);
      return { repeats: outcomes.length - sources.size, outcomes };
    },
    { timeoutMs: 60_000 },
  );
}

beforeAll(() => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'enricher-test', log: testLog() });
});

afterAll(async () => {
  await stopServices();
  await closeBenches();
});

describe('enricher', () => {
  it('gives every record one outcome on its own partition, with the identity in the headers', async () => {
    const at = await bench('enricher_happy');
    const service = await spawnService('enricher', { ...at.env, ...PATIENT, ...STEADY });
    await service.ready();
    const sent = Array.from({ length: 400 }, (_, n) => produce(at, n % PARTITIONS, { message_id: `m${n}` }));
    await Promise.all(sent);
    const { repeats, outcomes } = await expectEverySourceDone(at, 400);
    expect(repeats).toBe(0);
    expect(new Set(outcomes.map(({ message_id }) => message_id)).size).toBe(400);
    const finals = at.enriched.records.filter(({ headers }) => headers['parley-outcome']?.toString() !== 'provisional');
    for (const [index, record] of finals.entries()) {
      const outcome = outcomes[index] as ChatOutcome;
      expect(record.partition).toBe(outcome.source.partition);
      expect(record.headers['parley-source']?.toString()).toBe(
        `${outcome.source.topic_id}/${at.topics.events}/${outcome.source.partition}/${outcome.source.offset}`,
      );
      expect(outcome).toMatchObject({ outcome: 'enriched', revision: 0, origin: outcome.source });
      expect(outcome.insight).toMatchObject({ language: 'en', model: 'scripted/1' });
    }
    await service.kill('SIGTERM');
  });

  it('goes on behind one slow message, and asks for the slow one alone again when it is killed', async () => {
    const at = await bench('enricher_slow');
    let release: () => void = () => {};
    at.nlp.answer = (request) => {
      if (request.json.id !== 'slow') return parleyAnswer(request);
      return new Promise((resolve) => {
        release = () => resolve(parleyAnswer(request));
      });
    };
    const service = await spawnService('enricher', { ...at.env, ...PATIENT });
    await service.ready();
    await produce(at, 0, { message_id: 'slow' });
    await Promise.all(Array.from({ length: 200 }, (_, n) => produce(at, 0, { message_id: `m${n}` })));
    await eventually(async () => expect((await outcomesOf(at)).length).toBe(200));
    expect((await outcomesOf(at)).map(({ message_id }) => message_id)).not.toContain('slow');
    // Once the commit's metadata has the 200, a kill has only the slow one called again.
    const [{ source }] = (await outcomesOf(at)) as [ChatOutcome];
    await KafkaAdmin.use(kafka, (admin) =>
      eventually(async () => {
        const committed = (await admin.committed(`${at.env['TOPIC_PREFIX']}parley.enricher`, at.topics.events)).get(0);
        const ledger = decodeLedger(committed?.metadata ?? '', source.topic_id, committed?.offset ?? -1);
        expect([committed?.offset, ledger.completed.length]).toEqual([0, 200]);
      }),
    );
    await service.kill('SIGKILL');
    at.nlp.requests.length = 0;
    const next = await spawnService('enricher', { ...at.env, ...PATIENT });
    await next.ready();
    await eventually(() => expect(at.nlp.requests.map(({ json }) => json.id)).toEqual(['slow']));
    release();
    const { repeats } = await expectEverySourceDone(at, 201);
    expect(repeats).toBe(0);
    await next.kill('SIGTERM');
  });

  it('dead-letters poison byte for byte, and the good records around it go through', async () => {
    const at = await bench('enricher_poison');
    const service = await spawnService('enricher', { ...at.env, ...STEADY });
    await service.ready();
    const unknownSchema = Buffer.concat([Buffer.from([0, 0x7f, 0, 0, 1]), Buffer.from('whatever')]);
    const cut = at.codec.encodeEvent(sampleEvent()).subarray(0, 20);
    const poison: [Buffer | null, string][] = [
      [Buffer.from('not ours at all'), 'undecodable'],
      [null, 'undecodable'],
      [Buffer.alloc(0), 'undecodable'],
      [cut, 'undecodable'],
      [unknownSchema, 'schema_unknown'],
      [at.codec.encodeEvent(sampleEvent({ text: 'x'.repeat(70_000) })), 'invalid'],
      [at.codec.encodeEvent(sampleEvent({ speaker: 'ghost' })), 'invalid'],
      [at.codec.encodeEvent(sampleEvent({ sent_at: 12 })), 'invalid'],
      [at.codec.encodeEvent(sampleEvent({ message_id: '' })), 'invalid'],
    ];
    at.nlp.answer = (request) => (request.json.id === 'refused' ? REJECTION : parleyAnswer(request));
    for (const [value] of poison) {
      await at.producer.send({
        topic: at.topics.events,
        partition: 1,
        key: 'k',
        value,
        headers: { traceparent: 'tp', own: 'header' },
      });
      await produce(at, 1, { message_id: `good${poison.length}` });
    }
    await produce(at, 1, { message_id: 'refused' });
    const { repeats, outcomes } = await expectEverySourceDone(at, poison.length * 2 + 1);
    expect(repeats).toBe(0);
    expect(outcomes.filter(({ outcome }) => outcome === 'enriched')).toHaveLength(poison.length);
    await eventually(() => expect(at.dlq.records).toHaveLength(poison.length + 1));
    const letters = at.dlq.records.toSorted(
      (a, b) => Number(a.headers['dlq-origin-offset']) - Number(b.headers['dlq-origin-offset']),
    );
    for (const [index, [value, reason]] of poison.entries()) {
      const letter = letters[index];
      expect(letter?.value).toEqual(value);
      expect(letter?.headers['dlq-reason']?.toString()).toBe(reason);
      expect(letter?.headers['dlq-origin-offset']?.toString()).toBe(String(index * 2));
      expect(letter?.headers['own']?.toString()).toBe('header');
      expect(letter?.partition).toBe(1);
    }
    expect(letters.at(-1)?.headers['dlq-reason']?.toString()).toBe('nlp_rejected');
    const undecodable = outcomes.find(({ source }) => source.offset === 0);
    expect(undecodable).toMatchObject({ outcome: 'dead_lettered', reason: 'undecodable', tenant_id: '', bot_id: '' });
    expect(undecodable?.message_id).toBe(`dead:${undecodable?.source.topic_id}:1:0`);
    await service.kill('SIGTERM');
  });

  it('loses and repeats nothing that was committed when killed at full speed, again and again', async () => {
    const at = await bench('enricher_kill');
    at.nlp.answer = (request) => delay(100, parleyAnswer(request));
    const total = 6_000;
    const env = { ...at.env, ...PATIENT, NLP_CONCURRENCY: '200' };
    let service: ServiceHandle = await spawnService('enricher', env);
    await service.ready();
    const sending = Promise.all(
      Array.from({ length: total }, (_, n) => produce(at, n % PARTITIONS, { message_id: `m${n}` })),
    );
    for (const mark of [1_000, 3_000]) {
      await eventually(() => expect(at.enriched.records.length).toBeGreaterThan(mark), { timeoutMs: 60_000 });
      await service.kill('SIGKILL');
      service = await spawnService('enricher', env);
    }
    await sending;
    const { repeats } = await expectEverySourceDone(at, total);
    const repeatedCalls = at.nlp.requests.length - total;
    // In flight (200) and acked since the last commit (100 ms of 200 calls of 100 ms each: 200, doubled for a stall).
    expect(repeatedCalls).toBeLessThanOrEqual(2 * (200 + 400));
    expect(repeats).toBeLessThanOrEqual(repeatedCalls);
    await service.kill('SIGTERM');
  }, 150_000);

  it('waits while the NLP API is down, dead-letters nothing, and catches up', async () => {
    const at = await bench('enricher_outage');
    const env = {
      ...at.env,
      ON_NLP_OUTAGE: 'wait',
      NLP_HALF_OPEN_AFTER_MS: '700',
      NLP_TIMEOUT_MS: '500',
      NLP_BACKOFF_CAP_MS: '200',
      NLP_BREAKER_WINDOW_MS: '1000',
      NLP_MAX_RETRIES: '2',
    };
    const service = await spawnService('enricher', env);
    await service.ready();
    // A few that work, so that the breaker has something to compare with.
    await Promise.all(Array.from({ length: 20 }, (_, n) => produce(at, 0, { message_id: `before${n}` })));
    await expectEverySourceDone(at, 20);
    let broken = 0;
    at.nlp.answer = () => {
      broken++;
      return { status: 503 };
    };
    await Promise.all(Array.from({ length: 500 }, (_, n) => produce(at, n % PARTITIONS, { message_id: `m${n}` })));
    await eventually(async () =>
      expect(await (await fetch(`${service.adminUrl}/readyz`)).json()).toMatchObject({
        ready: false,
        dependencies: { nlp: { state: 'down' } },
      }),
    );
    const atOpening = broken;
    // Two probes later the API was asked just those few more times: nothing is burnt.
    await eventually(() => expect(broken).toBeGreaterThanOrEqual(atOpening + 2));
    expect(broken - atOpening).toBeLessThan(500);
    at.nlp.answer = parleyAnswer;
    const { outcomes } = await expectEverySourceDone(at, 520);
    const lettered = outcomes.filter(({ outcome }) => outcome !== 'enriched').length;
    expect(lettered).toBe(at.dlq.records.length);
    expect(lettered).toBe(0);
    await service.kill('SIGTERM');
  });

  it('says in the log what retention removed before it was read', async () => {
    const at = await bench('enricher_gap');
    await Promise.all(Array.from({ length: 50 }, (_, n) => produce(at, 2, { message_id: `m${n}` })));
    const first = await spawnService('enricher', { ...at.env, ...STEADY });
    await first.ready();
    await expectEverySourceDone(at, 50);
    await first.kill('SIGTERM');
    await Promise.all(Array.from({ length: 30 }, (_, n) => produce(at, 2, { message_id: `gone${n}` })));
    await KafkaAdmin.use(kafka, (admin) => admin.cutLog(at.topics.events, 2, 80));
    const second = await spawnService('enricher', { ...at.env, ...STEADY });
    await second.ready();
    await produce(at, 2, { message_id: 'after' });
    const { outcomes } = await expectEverySourceDone(at, 52);
    expect(outcomes.filter(({ outcome }) => outcome === 'gap')).toMatchObject([
      { source: { partition: 2, offset: 50 }, last_offset: 79 },
    ]);
    await second.kill('SIGTERM');
  });

  it('goes on behind records that were deleted while it was paused, more of them than the ledger spans', async () => {
    const at = await bench('enricher_deleted');
    const held: (() => void)[] = [];
    at.nlp.answer = (request) => new Promise((resolve) => held.push(() => resolve(parleyAnswer(request))));
    const service = await spawnService('enricher', { ...at.env, ...PATIENT, ...STEADY, NLP_CONCURRENCY: '100' });
    await service.ready();
    const metric = async (name: string) => {
      const text = await (await fetch(`${service.adminUrl}/metrics`)).text();
      return Number(new RegExp(`^${name}\\S* (\\S+)$`, 'm').exec(text)?.[1]);
    };
    const total = LEDGER_SPAN + 4_000;
    for (let from = 0; from < total; from += 2_000) {
      const count = Math.min(2_000, total - from);
      await Promise.all(Array.from({ length: count }, (_, n) => produce(at, 2, { message_id: `m${from + n}` })));
    }
    // Enough is queued: the partition is paused, and not fetched any more.
    await eventually(async () => expect(await metric('parley_records_queued')).toBe(MAX_QUEUED.live.records));
    const kept = total - 500;
    const admin = await KafkaAdmin.connect(kafka);
    await admin.cutLog(at.topics.events, 2, kept);
    at.nlp.answer = parleyAnswer;
    for (const answer of held.splice(0)) answer();

    // Each offset is in one outcome, a gap standing for all of its range.
    const accounted = async () => {
      const offsets = (await outcomesOf(at)).flatMap(({ source, last_offset }) => {
        const last = last_offset ?? source.offset;
        return Array.from({ length: last - source.offset + 1 }, (_, n) => source.offset + n);
      });
      return offsets.sort((a, b) => a - b);
    };
    const everything = Array.from({ length: total }, (_, offset) => offset);
    await eventually(async () => expect(await accounted()).toEqual(everything), { timeoutMs: 60_000 });
    const gaps = (await outcomesOf(at)).filter(({ outcome }) => outcome === 'gap');
    expect(gaps).toMatchObject([{ last_offset: kept - 1 }]);
    const { enricher: group } = groupNames(at.env['TOPIC_PREFIX'] as string);
    await eventually(async () =>
      expect((await admin.committed(group, at.topics.events)).get(2)).toMatchObject({ offset: total }),
    );
    await admin.close();
    await service.kill('SIGTERM');
  }, 120_000);

  it('hands partitions over without loss when instances come and go', async () => {
    const at = await bench('enricher_rebalance');
    at.nlp.answer = (request) => delay(150, parleyAnswer(request));
    const env = { ...at.env, ...STEADY, NLP_CONCURRENCY: '150' };
    const first = await spawnService('enricher', env);
    await first.ready();
    const total = 5_000;
    const sending = Promise.all(
      Array.from({ length: total }, (_, n) => produce(at, n % PARTITIONS, { message_id: `m${n}` })),
    );
    await eventually(() => expect(at.enriched.records.length).toBeGreaterThan(500));
    const second = await spawnService('enricher', env);
    await second.ready();
    await eventually(() => expect(at.enriched.records.length).toBeGreaterThan(2_000));
    await first.kill('SIGTERM');
    await sending;
    const { repeats } = await expectEverySourceDone(at, total);
    // What was in flight on the partitions that moved, at most.
    expect(repeats).toBeLessThanOrEqual(300);
    await second.kill('SIGTERM');
  });
});
