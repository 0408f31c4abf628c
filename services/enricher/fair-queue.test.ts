import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FairQueue } from './fair-queue.ts';

const drain = (queue: FairQueue<number, string>): string[] => {
  const items: string[] = [];
  for (let next = queue.shift(); next; next = queue.shift()) items.push(next.item);
  return items;
};

describe('FairQueue', () => {
  it('gives tenants their turns, whatever one of them has queued', () => {
    const queue = new FairQueue<number, string>();
    for (let n = 0; n < 6; n++) queue.push('noisy', 0, `noisy${n}`);
    queue.push('quiet', 0, 'quiet0');
    queue.push('other', 1, 'other0');
    queue.push('quiet', 0, 'quiet1');
    expect(drain(queue)).toEqual([
      ...['noisy0', 'quiet0', 'other0', 'noisy1', 'quiet1', 'noisy2', 'noisy3', 'noisy4', 'noisy5'],
    ]);
  });

  it('gives a tenant’s partitions their turns', () => {
    const queue = new FairQueue<number, string>();
    for (const item of ['0a', '0b', '0c', '1a', '1b', '2a']) queue.push('t', Number(item[0]), item);
    expect(drain(queue)).toEqual(['0a', '1a', '2a', '0b', '1b', '0c']);
  });

  it('forgets a source as a whole', () => {
    const queue = new FairQueue<number, string>();
    for (const [tenant, source, item] of [
      ['a', 0, 'a0'],
      ['a', 1, 'a1'],
      ['b', 0, 'b0'],
    ] as const) {
      queue.push(tenant, source, item);
    }
    expect(queue.remove(0)).toEqual(['a0', 'b0']);
    expect(queue.size).toBe(1);
    expect(drain(queue)).toEqual(['a1']);
  });

  it('loses and doubles nothing, and keeps the order within a tenant’s partition', () => {
    const step = fc.oneof(
      fc.record({ tenant: fc.constantFrom('a', 'b', 'c'), source: fc.nat(2) }),
      fc.constant('shift' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new FairQueue<number, string>();
        const expected = new Map<string, number[]>();
        const seen = new Map<string, number[]>();
        const see = (next: ReturnType<typeof queue.shift>) => {
          const [lane, n] = next?.item.split(':') ?? [];
          if (lane) seen.set(lane, [...(seen.get(lane) ?? []), Number(n)]);
        };
        for (const [n, each] of steps.entries()) {
          if (each === 'shift') see(queue.shift());
          else {
            const lane = `${each.tenant}${each.source}`;
            queue.push(each.tenant, each.source, `${lane}:${n}`);
            expected.set(lane, [...(expected.get(lane) ?? []), n]);
          }
        }
        for (let next = queue.shift(); next; next = queue.shift()) see(next);
        expect(queue.size).toBe(0);
        expect(seen).toEqual(expected);
      }),
    );
  });
});
