import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FetchOrder } from './fetch-order.ts';

const TOPICS = ['chat.events', 'chat.replay'];
/** As many full partitions as one fetch of the enricher holds: 384 KiB in shares of 32 KiB. */
const FIT = 12;

/** What a broker answers with: whole shares in the order of the request, until the bytes of the fetch are spent (KIP-74). */
const filled = <T>(asked: readonly T[], isFull: (position: T) => boolean): T[] => asked.filter(isFull).slice(0, FIT);

it('of 96 full partitions each is read in one of eight fetches of twelve', () => {
  const order = new FetchOrder();
  const positions = Array.from({ length: 96 }, (_, partition) => ({ topic: 'chat.events', partition, offset: 0 }));
  for (let round = 0; round < 5; round++) {
    const read = Array.from({ length: 96 / FIT }, () => {
      const answered = filled(order.sort(positions), () => true);
      for (const position of answered) order.brought(position);
      return answered.map(({ partition }) => partition);
    });
    expect(read.flat().sort((a, b) => a - b)).toEqual(positions.map(({ partition }) => partition));
  }
});

it('a partition that is full waits for no more fetches than the full ones fill, whoever comes and goes', () => {
  const place = fc.record({ topic: fc.constantFrom(...TOPICS), partition: fc.nat(47), offset: fc.constant(0) });
  const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`;
  const fetch = fc.record({
    asked: fc.uniqueArray(place, { minLength: 1, maxLength: 96, selector: keyOf }),
    empty: fc.array(place.map(keyOf), { maxLength: 48 }),
  });
  fc.assert(
    fc.property(fc.array(fetch, { maxLength: 30 }), place, (fetches, watched) => {
      const order = new FetchOrder();
      const all = TOPICS.flatMap((topic) =>
        Array.from({ length: 48 }, (_, partition) => ({ topic, partition, offset: 0 })),
      );
      for (const { asked, empty } of fetches) {
        for (const each of filled(order.sort(asked), (position) => !empty.includes(keyOf(position))))
          order.brought(each);
      }
      // From now on all 96 are full.
      let waited = 0;
      for (let read = false; !read; waited++) {
        const answered = filled(order.sort(all), () => true);
        for (const each of answered) order.brought(each);
        read = answered.some((each) => keyOf(each) === keyOf(watched));
      }
      expect(waited).toBeLessThanOrEqual(all.length / FIT);
    }),
  );
});
