import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Outbox, UnsentBudget } from './outbox.ts';

/** A socket whose system buffer is full: frames wait until they are read. */
class SlowSocket {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 1;
  readonly waiting: (() => void)[] = [];
  pongs = 0;
  send(_frame: string, sent?: () => void): void {
    if (sent) this.waiting.push(sent);
  }
  pong(): void {
    this.pongs += 1;
  }
  read(count = this.waiting.length): void {
    for (const sent of this.waiting.splice(0, count)) sent();
    if (this.waiting.length === 0) this.bufferedAmount = 0;
  }
}

function opened(budget: UnsentBudget, maxBytes = 100_000) {
  const socket = new SlowSocket();
  const seen = { slow: 0, readable: true };
  const outbox = new Outbox(socket as never, {
    budget,
    maxBytes,
    onSlow: () => {
      seen.slow += 1;
      socket.readyState = 2;
    },
    onReadable: (readable) => {
      seen.readable = readable;
    },
  });
  return { outbox, socket, seen };
}

describe('Outbox', () => {
  it('stops reading who does not read, and reads on when most of it is read', () => {
    const { outbox, socket, seen } = opened(new UnsentBudget(1 << 20));
    for (let i = 0; i < 60; i++) outbox.send('x'.repeat(500));
    expect([seen.readable, seen.slow]).toEqual([false, 0]);
    socket.read(30);
    expect(seen.readable).toBe(false);
    socket.read();
    expect([seen.readable, outbox.unsentBytes]).toEqual([true, 0]);
  });

  it('says slow above its own bound, and takes no more', () => {
    const { outbox, seen } = opened(new UnsentBudget(1 << 20), 10_000);
    for (let i = 0; i < 30; i++) outbox.send('x'.repeat(500));
    expect(seen.slow).toBe(1);
    expect(outbox.unsentBytes).toBeLessThan(12_000);
  });

  it('counts a small frame with what it costs beside its bytes', () => {
    const { outbox } = opened(new UnsentBudget(1 << 20));
    for (let i = 0; i < 10; i++) outbox.send('x');
    expect(outbox.unsentBytes).toBeGreaterThan(5_000);
  });

  it('answers a ping only when the answer to an earlier one has left', () => {
    const { outbox, socket } = opened(new UnsentBudget(1 << 20));
    outbox.pong(Buffer.alloc(0));
    expect(socket.pongs).toBe(0);
    socket.read();
    outbox.pong(Buffer.alloc(0));
    expect(socket.pongs).toBe(1);
  });
});

describe('UnsentBudget', () => {
  it('closes the slowest readers first, and no more of them than needed', () => {
    const budget = new UnsentBudget(40_000);
    const all = [5, 30, 10, 20].map((frames) => ({ frames, ...opened(budget) }));
    for (const { outbox, frames } of all) for (let i = 0; i < frames; i++) outbox.send('x'.repeat(488));
    expect(all.map(({ seen }) => seen.slow)).toEqual([0, 1, 0, 0]);
    expect(budget.bytes).toBeLessThanOrEqual(40_000);
  });

  it('is the sum of what is unsent, and never above its bound', () => {
    const step = fc.record({ at: fc.nat(3), bytes: fc.nat(3_000), reads: fc.nat(2), closes: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (plan) => {
        const budget = new UnsentBudget(20_000);
        const all = Array.from({ length: 4 }, () => opened(budget, 8_000));
        for (const { at, bytes, reads, closes } of plan) {
          const { outbox, socket } = all[at] ?? opened(budget);
          outbox.send('x'.repeat(bytes));
          socket.read(reads);
          if (closes === 0) outbox.release();
          expect(budget.bytes).toBe(all.reduce((sum, each) => sum + each.outbox.unsentBytes, 0));
          expect(budget.bytes).toBeLessThanOrEqual(20_000);
        }
      }),
    );
  });
});
