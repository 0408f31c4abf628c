import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../../core/testing/eventually.ts';
import { PRODUCE_API_KEY } from '../../../testing/kafka-proxy.ts';
import { ProduceTimeoutError } from '../../produce/batch-producer.ts';
import type { ContractProducer } from './adapter.ts';
import { type ContractBench, PARTITIONS, recordOf } from './bench.ts';

/** Acks: a record that was acked is in the log once, at its partition; an error belongs to the record that it names. */
export function produceCases(bench: ContractBench): void {
  describe('a producer over a faulty link', () => {
    afterEach(() => {
      bench.proxy.rule = () => 'pass';
    });

    it('loses and doubles nothing when produce responses are lost, with many sends at once', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer({ maxBatchRecords: 10 }, bench.proxied());
      const lost = new Set([2, 5, 6]);
      let produces = 0;
      bench.proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY && lost.has(++produces) ? 'cut' : 'pass');
      await Promise.all(Array.from({ length: 100 }, (_, n) => producer.send(recordOf(topic, 0, `m${n}`))));
      bench.proxy.rule = () => 'pass';
      expect(produces).toBeGreaterThanOrEqual(13);
      expect(await bench.stored(topic)).toEqual(Array.from({ length: 100 }, (_, n) => `m${n}`));
    });

    it('has a batch in the log once whose answers are lost again and again', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer({}, bench.proxied());
      await producer.send(recordOf(topic, 1, 'first'));
      let lost = 0;
      bench.proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY && ++lost <= 4 ? 'cut' : 'pass');
      await producer.send({ ...recordOf(topic, 1, 'second'), resendValue: () => Buffer.from('second, resent') });
      bench.proxy.rule = () => 'pass';
      expect(lost).toBeGreaterThan(4);
      expect(await bench.stored(topic)).toEqual(['first', 'second']);
    });

    it('gives up at its time to live while Kafka is silent, and frees the bytes', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer({ ttlMs: 300 }, bench.proxied());
      bench.proxy.rule = ({ apiKey }) => (apiKey === PRODUCE_API_KEY ? 'drop' : 'pass');
      await expect(producer.send(recordOf(topic, 0, 'unheard'))).rejects.toThrow(ProduceTimeoutError);
      expect(producer.pendingBytes).toBe(0);
    });
  });

  describe('a producer', () => {
    it('leaves no record behind that arrives in the very moment a batch ends', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer({ lingerMs: 0 });
      for (let n = 0; n < 60; n++) {
        await producer.send(recordOf(topic, 0, `m${n}`));
        // So many turns of the microtask queue later: one of them meets the end of the producer's loop.
        for (let turn = 0; turn < n % 12; turn++) await null;
      }
      expect(producer.pendingBytes).toBe(0);
    });

    it('has the record that is too large refused alone, and its neighbours go through', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer({ lingerMs: 30 });
      const sends = ['before', Buffer.alloc(1_200_000, 1), 'after'].map((value) =>
        producer.send(recordOf(topic, 2, value)),
      );
      const results = await Promise.allSettled(sends);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await bench.stored(topic)).sort()).toEqual(['after', 'before']);
    });
  });

  answerCases(bench);
}

const codesOf = (results: readonly PromiseSettledResult<void>[]) =>
  results.map((result) => (result.status === 'fulfilled' ? 'acked' : result.reason.code));

/** The refused ones by their place. */
const refusalsOf = (results: readonly PromiseSettledResult<void>[]) =>
  codesOf(results).flatMap((code, n) => (code === 'acked' ? [] : [[n, code]]));

/** Each partition is settled by its own answer. */
function answerCases(bench: ContractBench): void {
  const send = (producer: ContractProducer, topic: string, n: number) =>
    producer.send(recordOf(topic, n % PARTITIONS, `record ${n}`));
  const many = (producer: ContractProducer, topic: string, count: number) =>
    Array.from({ length: count }, (_, n) => send(producer, topic, n));
  const appended = async (topic: string) =>
    (await bench.client.logRanges(topic)).reduce((sum, { end }) => sum + end, 0);

  describe('a send over several topics', () => {
    it('acks what Kafka took at once and once, whatever it answers for the other topics of the same request', async () => {
      const producer = await bench.producer({ lingerMs: 30 });
      const good = await bench.freshTopic();
      // INVALID_TIMESTAMP until the topic's bounds are mended, for all that does not arrive within the millisecond of its
      // sending.
      const tooOld = await bench.freshTopic({ 'message.timestamp.before.max.ms': '0' });
      // A compacted topic takes no record without a key: INVALID_RECORD.
      const compacted = await bench.freshTopic({ 'cleanup.policy': 'compact' });
      const waiting = Promise.all(many(producer, tooOld, 30));
      waiting.catch(() => undefined);
      const refused = many(producer, compacted, 3);
      await Promise.all(many(producer, good, 300));
      expect(await appended(good)).toBe(300);
      expect(codesOf(await Promise.allSettled(refused))).toEqual(Array(3).fill('INVALID_RECORD'));
      // Still refused for now, and sent again and again meanwhile: the other topics do not suffer for it.
      await Promise.all(many(producer, good, 300));
      expect(await appended(good)).toBe(600);
      await bench.admin.replaceSettings(tooOld, {});
      await waiting;
      expect(await appended(tooOld)).toBe(30);
      expect(await appended(compacted)).toBe(0);
    });

    it('refuses the one record without a key among many of a compacted topic, and acks the others', async () => {
      const producer = await bench.producer({ lingerMs: 30 });
      const topic = await bench.freshTopic({ 'cleanup.policy': 'compact' });
      const results = await Promise.allSettled(
        Array.from({ length: 90 }, (_, n) => producer.send(recordOf(topic, 0, `record ${n}`, n === 41 ? null : 'key'))),
      );
      expect(refusalsOf(results)).toEqual([[41, 'INVALID_RECORD']]);
      expect(await appended(topic)).toBe(89);
    });

    it('cuts batches to what a topic takes, and refuses the record alone that is too large for it', async () => {
      const producer = await bench.producer({ lingerMs: 30 });
      const topic = await bench.freshTopic({ 'max.message.bytes': '1024' });
      const results = await Promise.allSettled(
        Array.from({ length: 60 }, (_, n) =>
          producer.send(recordOf(topic, 0, Buffer.alloc(n === 17 ? 2_000 : 100, 1))),
        ),
      );
      expect(refusalsOf(results)).toEqual([[17, 'MESSAGE_TOO_LARGE']]);
      expect(await appended(topic)).toBe(59);
    });
  });

  describe('partitions that are newer than the producer', () => {
    it('are produced to without a restart, and a partition that does not exist waits for its record', async () => {
      const producer = await bench.producer();
      const topic = await bench.freshTopic();
      await send(producer, topic, 0);
      const sent = producer.send(recordOf(topic, PARTITIONS, 'new'));
      let turns = 0;
      const heartbeat = setInterval(() => turns++, 10);
      // Timers fire while it waits: no loop without a pause.
      await eventually(() => expect(turns).toBeGreaterThan(20)).finally(() => clearInterval(heartbeat));
      await bench.admin.grow(topic, PARTITIONS + 1);
      await sent;
      expect((await bench.client.logRanges(topic)).at(-1)).toEqual({ partition: PARTITIONS, start: 0, end: 1 });
    });
  });
}
