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

const WHOLE = { bot: 1, tenant: 1 };
const ofBytes = (maxBytes: number) => new UnsentBudget({ maxBytes, shares: WHOLE });

function opened(budget: UnsentBudget, maxBytes = 100_000, owner = { tenant: 't', bot: 'b' }) {
  const socket = new SlowSocket();
  const seen = { slow: 0, readable: true };
  const outbox = new Outbox(socket as never, {
    budget,
    owner,
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
    const { outbox, socket, seen } = opened(ofBytes(1 << 20));
    for (let i = 0; i < 60; i++) outbox.send('x'.repeat(500));
    expect([seen.readable, seen.slow]).toEqual([false, 0]);
    socket.read(30);
    expect(seen.readable).toBe(false);
    socket.read();
    expect([seen.readable, outbox.unsentBytes]).toEqual([true, 0]);
  });

  it('says slow above its own bound, and takes no more', () => {
    const { outbox, seen } = opened(ofBytes(1 << 20), 10_000);
    for (let i = 0; i < 30; i++) outbox.send('x'.repeat(500));
    expect(seen.slow).toBe(1);
    expect(outbox.unsentBytes).toBeLessThan(12_000);
  });

  it('counts a small frame with what it costs beside its bytes', () => {
    const { outbox } = opened(ofBytes(1 << 20));
    for (let i = 0; i < 10; i++) outbox.send('x');
    expect(outbox.unsentBytes).toBeGreaterThan(5_000);
  });

  it('answers a ping only when the answer to an earlier one has left', () => {
    const { outbox, socket } = opened(ofBytes(1 << 20));
    outbox.pong(Buffer.alloc(0));
    expect(socket.pongs).toBe(0);
    socket.read();
    outbox.pong(Buffer.alloc(0));
    expect(socket.pongs).toBe(1);
  });
});

describe('UnsentBudget', () => {
  it('closes the slowest readers first, and no more of them than needed', () => {
    const budget = ofBytes(40_000);
    const all = [5, 30, 10, 20].map((frames) => ({ frames, ...opened(budget) }));
    for (const { outbox, frames } of all) for (let i = 0; i < frames; i++) outbox.send('x'.repeat(488));
    expect(all.map(({ seen }) => seen.slow)).toEqual([0, 1, 0, 0]);
    expect(budget.bytes).toBeLessThanOrEqual(40_000);
  });

  it('is the sum of what is unsent, and never above its bound', () => {
    const step = fc.record({ at: fc.nat(3), bytes: fc.nat(3_000), reads: fc.nat(2), closes: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (plan) => {
        const budget = ofBytes(20_000);
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

  it('takes from a tenant above its share its own slowest reader, although another’s has more', () => {
    const used: string[] = [];
    const budget = new UnsentBudget({
      maxBytes: 100_000,
      shares: { bot: 1, tenant: 0.4 },
      onShareUsedUp: (share) => used.push(share),
    });
    const honest = opened(budget, 100_000, { tenant: 'honest', bot: 'b' });
    const greedy = [10, 12, 9, 11].map((frames, i) => ({
      frames,
      ...opened(budget, 100_000, { tenant: 'greedy', bot: `b${i}` }),
    }));
    for (let i = 0; i < 38; i++) honest.outbox.send('x'.repeat(488));
    for (const { outbox, frames } of greedy) for (let i = 0; i < frames; i++) outbox.send('x'.repeat(488));
    expect(greedy.map(({ seen }) => seen.slow)).toEqual([0, 1, 0, 0]);
    expect([honest.seen.slow, honest.outbox.unsentBytes]).toEqual([0, 38_000]);
    expect(used).toEqual(['tenant']);
  });

  it('does as a model that adds everything up anew: shares of bots and tenants, then the bound of all', () => {
    const MAX = 20_000;
    const shares = { bot: 0.3, tenant: 0.5 };
    const owners = Array.from({ length: 12 }, (_, i) => ({ tenant: `t${i % 3}`, bot: `b${i % 2}` }));
    const step = fc.record({ at: fc.nat(11), bytes: fc.nat(2_500), reads: fc.nat(1), closes: fc.nat(19) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (plan) => {
        const budget = new UnsentBudget({ maxBytes: MAX, shares });
        const real = owners.map((owner) => opened(budget, 1 << 20, owner));
        const model = new NaiveBudget(owners, MAX, shares);
        for (const { at, bytes, reads, closes } of plan) {
          real[at]?.outbox.send('x'.repeat(bytes));
          model.send(at, bytes + 512);
          real[at]?.socket.read(reads);
          model.read(at, reads);
          model.drained(at);
          if (closes === 0) {
            real[at]?.outbox.release();
            model.close(at);
          }
          expect(real.map(({ outbox }) => outbox.unsentBytes)).toEqual(model.sizes);
          expect(real.map(({ seen }) => seen.slow > 0)).toEqual(model.givenUp);
          expect(budget.bytes).toBe(model.sizes.reduce((sum, size) => sum + size, 0));
        }
      }),
    );
  });
});

/** Sockets by number, each with the sizes of its unsent frames. */
class NaiveBudget {
  readonly givenUp: boolean[];
  readonly #owners: readonly { tenant: string; bot: string }[];
  readonly #frames: number[][];
  readonly #closed: boolean[];
  /** What the system takes at once is never unsent. */
  readonly #takesAtOnce: boolean[];
  /** Those with unsent frames, in the order in which they began to have some: of two equal ones the first goes. */
  #order: number[] = [];
  readonly #max: number;
  readonly #shares: { bot: number; tenant: number };

  constructor(
    owners: readonly { tenant: string; bot: string }[],
    max: number,
    shares: { bot: number; tenant: number },
  ) {
    this.#owners = owners;
    this.#frames = owners.map(() => []);
    this.#closed = owners.map(() => false);
    this.#takesAtOnce = owners.map(() => false);
    this.givenUp = owners.map(() => false);
    this.#max = max;
    this.#shares = shares;
  }

  get sizes(): number[] {
    return this.#frames.map((frames) => frames.reduce((sum, bytes) => sum + bytes, 0));
  }

  send(at: number, bytes: number): void {
    if (this.#closed[at] || this.givenUp[at] || this.#takesAtOnce[at]) return;
    this.#frames[at]?.push(bytes);
    if (!this.#order.includes(at)) this.#order.push(at);
    const { tenant, bot } = this.#owners[at] as { tenant: string; bot: string };
    const ofTenant = (it: number) => this.#owners[it]?.tenant === tenant;
    const ofBot = (it: number) => ofTenant(it) && this.#owners[it]?.bot === bot;
    this.#shrink(ofBot, this.#max * this.#shares.bot);
    this.#shrink(ofTenant, this.#max * this.#shares.tenant);
    this.#shrink(() => true, this.#max);
  }

  read(at: number, frames: number): void {
    this.#frames[at]?.splice(0, frames);
    this.#order = this.#order.filter((it) => (this.sizes[it] ?? 0) > 0);
  }

  /** As the socket's own buffer does, when nothing of it waits any more. */
  drained(at: number): void {
    if (this.sizes[at] === 0) this.#takesAtOnce[at] = true;
  }

  close(at: number): void {
    this.#closed[at] = true;
    this.read(at, Number.POSITIVE_INFINITY);
  }

  #shrink(among: (at: number) => boolean, bound: number): void {
    for (;;) {
      const sizes = this.sizes;
      const all = this.#order.filter(among);
      if (all.reduce((sum, it) => sum + (sizes[it] ?? 0), 0) <= bound) return;
      const largest = Math.max(...all.map((it) => sizes[it] ?? 0));
      const at = all.find((it) => sizes[it] === largest) as number;
      this.givenUp[at] = true;
      this.read(at, Number.POSITIVE_INFINITY);
    }
  }
}
