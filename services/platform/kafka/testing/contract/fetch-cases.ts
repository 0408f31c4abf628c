import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../../../core/testing/eventually.ts';
import { sendWithJava } from '../../../../local/testing/java-producer.ts';
import { type ContractBench, PARTITIONS, recordOf, valuesOf } from './bench.ts';
import { sendTransactions, sendUnreadable } from './foreign-producers.ts';

/** What a claim is given to read: each record once and in order, whatever stands beside it or cannot be read. */
export function fetchCases(bench: ContractBench): void {
  describe('a handler', () => {
    it('that throws a TypeError does not end the consumer', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer();
      let thrown = 0;
      const seen = await bench.consume(topic, {
        take: (records) => {
          if (thrown++ === 0) throw new TypeError('a mistake of ours');
          return records;
        },
      });
      await producer.send(recordOf(topic, 0, 'one'));
      await eventually(() => expect(valuesOf(seen.records)).toEqual(['one']));
      await producer.send(recordOf(topic, 0, 'two'));
      await eventually(() => expect(valuesOf(seen.records)).toEqual(['one', 'two']));
      expect(thrown).toBeGreaterThanOrEqual(2);
    });

    it('that hands records back is given them again, in order and once', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer({ lingerMs: 30 });
      // It has room for three at a time.
      const seen = await bench.consume(topic, {
        take: (records, claim) => {
          const back = records[3];
          if (back) claim.seek(back.offset);
          return records.slice(0, 3);
        },
      });
      const values = Array.from({ length: 20 }, (_, n) => `m${n}`);
      await Promise.all(values.map((value) => producer.send(recordOf(topic, 0, value))));
      await eventually(() => expect(valuesOf(seen.records)).toEqual(values));
    });

    it('that pauses its partition holds back no other, and goes on where it was', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer();
      const seen = await bench.consume(topic);
      await eventually(() => expect(seen.claims.size).toBe(PARTITIONS));
      await producer.send(recordOf(topic, 0, 'a0'));
      await eventually(() => expect(seen.records).toHaveLength(1));
      seen.claims.get(0)?.pause();
      await Promise.all([producer.send(recordOf(topic, 0, 'a1')), producer.send(recordOf(topic, 1, 'b0'))]);
      await eventually(() => expect(valuesOf(seen.records)).toEqual(['a0', 'b0']));
      seen.claims.get(0)?.resume();
      await eventually(() => expect(valuesOf(seen.records)).toEqual(['a0', 'b0', 'a1']));
    });
  });

  describe('what other clients than Parley’s write', () => {
    it('is read in every codec, from Kafka’s own Java producer and as the broker compresses for a topic', async () => {
      const topic = await bench.freshTopic();
      const seen = await bench.consume(topic);
      const producer = await bench.producer();
      const expected = Array.from({ length: 40 }, (_, n) => `java-${n}-${'squeezed'.repeat(20)}`);
      await sendWithJava({ brokers: bench.brokers, topic, codec: 'lz4', values: expected });
      for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
        await bench.admin.replaceSettings(topic, { 'compression.type': codec });
        const values = Array.from({ length: 20 }, (_, n) => `broker-${codec}-${n}-${'squeezed'.repeat(20)}`);
        await Promise.all(values.map((value) => producer.send(recordOf(topic, 1, value))));
        expected.push(...values);
      }
      await eventually(() => expect(valuesOf(seen.records).sort()).toEqual(expected.sort()));
    }, 180_000);

    it('is passed over and named where it cannot be read, and reading goes on there and in the other partitions', async () => {
      const topic = await bench.freshTopic();
      await sendUnreadable(bench.brokers, topic);
      const seen = await bench.consume(topic);
      await eventually(() => {
        expect(seen.steps(1)).toEqual(['beside']);
        expect(seen.steps(0)).toEqual(['before', { lostTo: 41 }, 'behind']);
      });
      await seen.consumer.check();
      // A reader of stretches says so as well.
      const pages = await bench.pages(topic, 0, 0, 42);
      expect(pages.flatMap(({ unreadable }) => unreadable)).toMatchObject([{ first: 1, next: 41, codec: 'gzip' }]);
      expect(pages.flatMap(({ records }) => records.map(({ offset }) => offset))).toEqual([0, 41]);
    });

    it('leaves no lag where it ends in markers and aborted records of transactions', async () => {
      const topic = await bench.freshTopic();
      const seen = await bench.consume(topic);
      await sendTransactions(bench.brokers, topic);
      // kept, its marker, void, its marker.
      await eventually(() => {
        expect(seen.steps(0)[0]).toBe('kept');
        expect(seen.steps(0).at(-1)).toEqual({ emptyTo: 4 });
        expect(valuesOf(seen.records)).toEqual(['kept']);
      });
      const claim = seen.claims.get(0);
      await claim?.commit(() => ({ offset: 4, metadata: '' }));
      expect(claim?.highWatermark).toBe(4);
      const pages = await bench.pages(topic, 0, 0, 4);
      expect(pages.at(-1)?.next).toBe(4);
      expect(pages.flatMap(({ records }) => valuesOf(records))).toEqual(['kept']);
    });
  });
}
