import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConversationOrder } from './conversation-order.ts';

describe('ConversationOrder', () => {
  it('lets the messages of a conversation through in the order in which they were refused first', () => {
    const order = new ConversationOrder();
    for (const id of ['21', '22', '23']) {
      if (id === '21' || !order.isDue('c', id, 0)) order.refused('c', id, 100, 0);
    }
    expect(order.isDue('other', '1', 0)).toBe(true);
    expect(['22', '23', '24', '21'].map((id) => order.isDue('c', id, 1))).toEqual([false, false, false, true]);
    order.taken('c', '21', 1);
    expect(['23', '22'].map((id) => order.isDue('c', id, 1))).toEqual([false, true]);
    order.taken('c', '22', 1);
    order.taken('c', '23', 1);
    expect(order.isDue('c', '99', 1)).toBe(true);
  });

  it('gives up a message that is not sent again', () => {
    const order = new ConversationOrder();
    order.refused('c', '1', 2_000, 0);
    expect([order.isDue('c', '2', 6_999), order.isDue('c', '2', 7_000), order.isDue('c', '3', 0)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('stores every message of a client that sends refused ones again in their order, whatever is refused', () => {
    const plan = fc.record({
      count: fc.integer({ min: 1, max: 40 }),
      refusals: fc.array(fc.boolean(), { maxLength: 200 }),
    });
    fc.assert(
      fc.property(plan, ({ count, refusals }) => {
        const order = new ConversationOrder();
        const stored: string[] = [];
        let queue = Array.from({ length: count }, (_, i) => String(i));
        let tries = 0;
        while (queue.length > 0) {
          const again: string[] = [];
          for (const id of queue) {
            const takes = order.isDue('c', id, 0) && !refusals[tries++];
            if (takes) {
              order.taken('c', id, 0);
              stored.push(id);
            } else {
              order.refused('c', id, 10, 0);
              again.push(id);
            }
          }
          queue = again;
        }
        expect(stored).toEqual(Array.from({ length: count }, (_, i) => String(i)));
      }),
    );
  });
});
