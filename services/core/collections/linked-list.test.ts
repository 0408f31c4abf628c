import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Link, LinkedList } from './linked-list.ts';

class Named extends Link {
  readonly name: number;

  constructor(name: number) {
    super();
    this.name = name;
  }
}

describe('LinkedList', () => {
  it('keeps the order of an array from which any item may be taken', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'push' as const }),
      fc.nat(20).map((at) => ({ kind: 'delete' as const, at })),
      fc.constant({ kind: 'shift' as const }),
      fc.constant({ kind: 'rotate' as const }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new LinkedList<Named>();
        const model: Named[] = [];
        let names = 0;
        for (const each of steps) {
          if (each.kind === 'push') {
            const item = new Named(names++);
            list.push(item);
            model.push(item);
          } else if (each.kind === 'delete') {
            const [item] = model.splice(each.at, 1);
            if (item) expect([list.delete(item), list.delete(item)]).toEqual([true, false]);
          } else if (each.kind === 'rotate') {
            list.rotate();
            model.push(...model.splice(0, 1));
          } else {
            const { first } = list;
            expect(first?.name).toBe(model.shift()?.name);
            if (first) list.delete(first);
          }
          expect([list.size, list.first?.name]).toEqual([model.length, model[0]?.name]);
        }
      }),
    );
  });

  it('leaves nothing in an item that left, also when all are cleared', () => {
    const list = new LinkedList<Named>();
    const items = [new Named(1), new Named(2), new Named(3)];
    for (const item of items) list.push(item);
    list.clear();
    expect([list.size, list.first]).toEqual([0, undefined]);
    expect(items.flatMap(({ previous, next }) => [previous, next])).toEqual(Array(6).fill(undefined));
  });
});
