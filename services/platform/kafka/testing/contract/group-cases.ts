import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../../../core/testing/eventually.ts';
import { ClaimLostError } from '../../consume/claim.ts';
import { type ContractBench, PARTITIONS, recordOf, type Seen, valuesOf } from './bench.ts';

/** Claims: who holds a partition, what a rejoin leaves alone, and whose commits count. */
export function groupCases(bench: ContractBench): void {
  const allClaimed = (seen: Seen) => eventually(() => expect(seen.claims.size).toBe(PARTITIONS));

  describe('a member of a group', () => {
    it('does not rewind at a rejoin the partitions that stay', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer();
      const group = bench.groupName();
      const first = await bench.consume(topic, { group });
      await Promise.all(Array.from({ length: 40 }, (_, n) => producer.send(recordOf(topic, n % PARTITIONS, `m${n}`))));
      await eventually(() => expect(first.records).toHaveLength(40));
      const second = await bench.consume(topic, { group });
      await eventually(() => expect(second.claims.size).toBeGreaterThan(0));
      const kept = [0, 1, 2, 3].filter((partition) => !first.released.includes(partition));
      expect(kept.length).toBeGreaterThan(0);
      await Promise.all(kept.map((partition) => producer.send(recordOf(topic, partition, `after-${partition}`))));
      await eventually(() =>
        expect(valuesOf(first.records.slice(40)).sort()).toEqual(kept.map((partition) => `after-${partition}`)),
      );
      // Nothing had been committed, so what moved begins anew with the other.
      await eventually(() => expect(second.records).toHaveLength(10 * (PARTITIONS - kept.length)));
    });

    it('takes its share alone when it joins, and the others keep the rest', async () => {
      const topic = await bench.freshTopic();
      const group = bench.groupName();
      const members = [await bench.consume(topic, { group }), await bench.consume(topic, { group })];
      const held = () => members.map(({ claims }) => [...claims.values()].filter(({ active }) => active));
      const shares = (sizes: readonly number[]) =>
        eventually(() =>
          expect(
            held()
              .map(({ length }) => length)
              .sort(),
          ).toEqual(sizes),
        );
      await shares([2, 2]);
      const before = held().map((claims) => new Set(claims.map(({ partition }) => partition)));
      members.push(await bench.consume(topic, { group }));
      await shares([1, 1, 2]);
      const stayed = held().flatMap((claims, index) => claims.filter(({ partition }) => before[index]?.has(partition)));
      // Four partitions on three members: at most ⌈4/3⌉ = 2 move.
      expect(stayed.length).toBeGreaterThanOrEqual(2);
    });

    it('releases every partition when it goes away while they open', async () => {
      const topic = await bench.freshTopic();
      const seen = await bench.consume(topic);
      await allClaimed(seen);
      await seen.consumer.close();
      expect([...seen.released].sort()).toEqual([0, 1, 2, 3]);
    });

    it('comes back after every connection was cut and refused for a while', async () => {
      const topic = await bench.freshTopic();
      const producer = await bench.producer();
      const seen = await bench.consume(topic, { client: bench.proxied() });
      await allClaimed(seen);
      bench.proxy.cut();
      await producer.send(recordOf(topic, 0, 'while away'));
      bench.proxy.open();
      await eventually(() => expect(valuesOf(seen.records)).toContain('while away'), { timeoutMs: 45_000 });
    });

    it('comes back over new connections, and so do producer and commits, when the old ones fall silent', async () => {
      const topic = await bench.freshTopic({}, 1);
      const client = bench.proxied();
      const producer = await bench.producer({}, client);
      const seen = await bench.consume(topic, { client });
      await producer.send(recordOf(topic, 0, 'before'));
      await eventually(() => expect(valuesOf(seen.records)).toEqual(['before']));
      bench.proxy.abandonAll();
      const sent = producer.send(recordOf(topic, 0, 'after'));
      // A claim that was lost to the silence has a successor.
      const committed = eventually(() => seen.claims.get(0)?.commit(() => ({ offset: 1, metadata: '' })), {
        timeoutMs: 45_000,
      });
      await eventually(() => expect(valuesOf(seen.records)).toContain('after'), { timeoutMs: 45_000 });
      await Promise.all([sent, committed]);
      await eventually(() => seen.consumer.check(), { timeoutMs: 45_000 });
    }, 120_000);
  });

  describe('a commit', () => {
    it('keeps offset and metadata, which the next claim finds', async () => {
      const topic = await bench.freshTopic();
      const group = bench.groupName();
      const producer = await bench.producer();
      await Promise.all(Array.from({ length: 5 }, (_, n) => producer.send(recordOf(topic, 1, `m${n}`))));
      const first = await bench.consume(topic, { group });
      await allClaimed(first);
      // As large as the enricher's ledger becomes.
      const metadata = 'x'.repeat(3_500);
      await first.claims.get(1)?.commit(() => ({ offset: 3, metadata }));
      await first.consumer.close();
      const second = await bench.consume(topic, { group });
      await eventually(() => expect(valuesOf(second.records)).toEqual(['m3', 'm4']));
      expect(second.claims.get(1)).toMatchObject({ committed: { offset: 3, metadata }, logStart: 0, logEnd: 5 });
      expect(second.claims.get(0)).toMatchObject({ committed: { offset: null }, logEnd: 0 });
    });

    it('is refused under a generation that has passed, and moves nothing', async () => {
      const topic = await bench.freshTopic();
      const group = bench.groupName();
      const producer = await bench.producer();
      await Promise.all(Array.from({ length: 10 }, (_, n) => producer.send(recordOf(topic, 0, `m${n}`))));
      const owner = await bench.consume(topic, { group });
      await eventually(() => expect(owner.claims.get(0)?.active).toBe(true));
      await owner.claims.get(0)?.commit(() => ({ offset: 9, metadata: 'nine' }));
      const zombie = { groupId: group, memberId: 'long-gone', generationId: 0 };
      const late = bench.client.commitAs(zombie, topic, 0, { offset: 3, metadata: '' });
      await expect(late).rejects.toThrow(ClaimLostError);
      expect((await bench.admin.committed(group, topic)).get(0)).toEqual({ offset: 9, metadata: 'nine' });
    });
  });

  describe('a committed offset beyond the end of the log', () => {
    it('stops its partition, which the check names, and no other', async () => {
      const topic = await bench.freshTopic();
      const group = bench.groupName();
      await bench.admin.resetOffsets(group, topic, new Map([[3, 1_000]]));
      const seen = await bench.consume(topic, { group });
      const producer = await bench.producer();
      await Promise.all([producer.send(recordOf(topic, 3, 'stopped')), producer.send(recordOf(topic, 2, 'goes on'))]);
      await eventually(async () => {
        await expect(seen.consumer.check()).rejects.toThrow(`${topic}/3 cannot go on`);
        expect(valuesOf(seen.records)).toEqual(['goes on']);
      });
      expect((await bench.admin.committed(group, topic)).get(3)?.offset).toBe(1_000);
    });
  });
}
