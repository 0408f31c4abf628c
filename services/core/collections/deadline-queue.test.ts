import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DeadlineQueue, Due } from './deadline-queue.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

class Named extends Due {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

describe('DeadlineQueue', () => {
  const queueOf = () => {
    const reported: string[] = [];
    return { reported, queue: new DeadlineQueue<Named>(({ name }) => void reported.push(name)) };
  };
  const at = (ms: number) => performance.now() + ms;

  it('reports each item once it is due, never before, and with one timer for all', async () => {
    const { reported, queue } = queueOf();
    queue.add(new Named('a'), at(100));
    queue.add(new Named('b'), at(150));
    queue.add(new Named('c'), at(300));
    expect(jest.getTimerCount()).toBe(1);
    await jest.advanceTimersByTimeAsync(99);
    expect(reported).toEqual([]);
    await jest.advanceTimersByTimeAsync(20);
    expect(reported).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(60);
    expect(reported).toEqual(['a', 'b']);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(reported).toEqual(['a', 'b', 'c']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not report what was deleted, and goes on behind it', async () => {
    const { reported, queue } = queueOf();
    const a = new Named('a');
    queue.add(a, at(100));
    queue.add(new Named('b'), at(200));
    expect([queue.delete(a), queue.delete(a), queue.size]).toEqual([true, false, 1]);
    await jest.advanceTimersByTimeAsync(300);
    expect(reported).toEqual(['b']);
  });

  it('takes what is added while it reports', async () => {
    const reported: string[] = [];
    const queue = new DeadlineQueue<Named>(({ name }) => {
      reported.push(name);
      if (name === 'a') queue.add(new Named('again'), at(50));
    });
    queue.add(new Named('a'), at(10));
    queue.add(new Named('b'), at(500));
    await jest.advanceTimersByTimeAsync(40);
    expect(reported).toEqual(['a']);
    // Behind one that is due later: reported with it, since the queue is in the order of adding.
    await jest.advanceTimersByTimeAsync(500);
    expect(reported).toEqual(['a', 'b', 'again']);
  });

  it('forgets everything when cleared', async () => {
    const { reported, queue } = queueOf();
    queue.add(new Named('a'), at(10));
    queue.clear();
    await jest.advanceTimersByTimeAsync(100);
    expect([reported, queue.size, jest.getTimerCount()]).toEqual([[], 0, 0]);
  });
});
