import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../../core/testing/eventually.ts';
import type { ContractClient, ContractFollower, ContractProducer } from './adapter.ts';
import { type ContractBench, recordOf } from './bench.ts';

/** Reading by assignment: stretches of a log, and its end, with no group that stays on the broker. */
export function readCases(bench: ContractBench): void {
  stretchCases(bench);
  followCases(bench);
}

function stretchCases(bench: ContractBench): void {
  const RECORDS = 900;
  let topic = '';

  /** Values by offset. */
  async function read(start: number, end: number): Promise<[number, string][]> {
    const pages = await bench.pages(topic, 1, start, end);
    const records = pages.flatMap((page) => page.records);
    return records.map(({ offset, value }) => [offset, value?.toString().slice(0, 8) ?? '']);
  }

  const expected = (start: number, end: number) =>
    Array.from({ length: end - start }, (_, index) => [start + index, `v${start + index}`]);

  describe('a reader of stretches', () => {
    beforeAll(async () => {
      // Above what one fetch asks for, so that it has to come all the same.
      topic = await bench.freshTopic({ 'max.message.bytes': String(16 << 20) }, 2);
      const producer = await bench.producer({ maxBatchRecords: 300 });
      const sends = Array.from({ length: RECORDS }, (_, n) => producer.send(recordOf(topic, 1, `v${n}`)));
      await Promise.all(sends);
      await producer.send(recordOf(topic, 1, Buffer.alloc(6 << 20, 'x')));
    });

    it('reads exactly what is asked for, from the middle of a batch to the middle of another', async () => {
      expect(await read(0, RECORDS)).toEqual(expected(0, RECORDS));
      expect(await read(123, 456)).toEqual(expected(123, 456));
      expect(await read(299, 300)).toEqual(expected(299, 300));
      expect(await read(300, 300)).toEqual([]);
      expect(await read(RECORDS, RECORDS + 1)).toEqual([[RECORDS, 'xxxxxxxx']]);
    });

    it('leaves no group on the broker', async () => {
      const groups = await bench.admin.groups();
      expect(groups.filter((group) => group.startsWith(topic))).toEqual([]);
    });

    it('passes over what retention has removed', async () => {
      await bench.admin.cutLog(topic, 1, 350);
      expect(await read(100, 400)).toEqual(expected(350, 400));
      expect(await read(100, 200)).toEqual([]);
    });

    it('says which partition cannot be read', async () => {
      const missing = bench.pages(topic, 7, 0, 1);
      await expect(missing).rejects.toMatchObject({
        code: 'KAFKA_UNREACHABLE',
        message: expect.stringContaining('partition 7'),
      });
    });
  });
}

function followCases(bench: ContractBench): void {
  const PARTITIONS = 3;
  let topic = '';
  let producer: ContractProducer;
  let follower: ContractFollower | undefined;
  let written = 0;

  /** Writes that many records, spread over the partitions; their values count up over all cases. */
  async function write(count: number): Promise<string[]> {
    const values = Array.from({ length: count }, () => `v${written++}`);
    await Promise.all(
      values.map((value, n) => producer.send({ ...recordOf(topic, n % PARTITIONS, value), headers: { tag: value } })),
    );
    return values;
  }

  /** The values that a follower from `since` on has seen. */
  function follow(since: number, client: ContractClient = bench.client): string[] {
    const seen: string[] = [];
    follower = client.follow(topic, since, (value) => seen.push(value));
    return seen;
  }

  describe('a follower of the end of a topic', () => {
    beforeAll(async () => {
      topic = await bench.freshTopic({}, PARTITIONS);
      producer = await bench.producer();
    });

    afterEach(async () => {
      bench.proxy.open();
      await follower?.close();
    });

    it('reads from a time on, then whatever comes, each record once, and leaves no group behind', async () => {
      await write(30);
      const since = Date.now() + 1;
      await eventually(() => expect(Date.now()).toBeGreaterThan(since));
      const before = await write(30);
      const seen = follow(since);
      await eventually(() => expect(seen).toHaveLength(30));
      const after = [...(await write(1)), ...(await write(200))];
      await eventually(() => expect(seen).toHaveLength(231));
      expect([...seen].sort()).toEqual([...before, ...after].sort());
      expect((await bench.admin.groups()).filter((group) => group.includes(topic))).toEqual([]);
    });

    it('goes on where it was after cut connections, without a gap or a repeat', async () => {
      const seen = follow(Date.now(), bench.proxied());
      const values = await write(60);
      await eventually(() => expect(seen).toHaveLength(60));
      bench.proxy.cut();
      values.push(...(await write(60)));
      bench.proxy.open();
      await eventually(() => expect(seen).toHaveLength(120));
      bench.proxy.cutAll();
      values.push(...(await write(60)));
      await eventually(() => expect(seen).toHaveLength(180));
      expect([...seen].sort()).toEqual([...values].sort());
    });

    it('goes on with what is left where a log was cut above its place', async () => {
      const seen = follow(Date.now(), bench.proxied());
      await write(9);
      await eventually(() => expect(seen).toHaveLength(9));
      bench.proxy.cut();
      await write(30);
      const range = (await bench.client.logRanges(topic)).find(({ partition }) => partition === 1);
      await bench.admin.cutLog(topic, 1, range?.end ?? 0);
      bench.proxy.open();
      // The other two have lost nothing.
      await eventually(() => expect(seen).toHaveLength(29));
      const next = await write(30);
      await eventually(() => expect(new Set(seen).isSupersetOf(new Set(next))).toBe(true));
      expect(seen).toHaveLength(59);
    });

    it('closes also while Kafka is away', async () => {
      const client = bench.proxied();
      bench.proxy.cut();
      const seen = follow(0, client);
      await follower?.close();
      expect(seen).toEqual([]);
    });
  });
}
