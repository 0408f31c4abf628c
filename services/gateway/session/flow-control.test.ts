import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../../core/clock.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { FlowControl, type HeldBy } from './flow-control.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** One socket whose messages are settled by hand. */
function opened({ perSecond = 100, burst = 10, maxInFlight = 1_000, ackAtOnce = true } = {}) {
  const clock = new ManualClock();
  const socket = { reading: true, pause: () => (socket.reading = false), resume: () => (socket.reading = true) };
  const taken: [number, HeldBy | undefined][] = [];
  let inFlight = 0;
  const flow = new FlowControl({
    socket: socket as never,
    bot: new TokenBucket(perSecond, burst, clock.monotonicMs()),
    tenant: new TokenBucket(10_000, 10_000, clock.monotonicMs()),
    clock,
    maxInFlight,
    inFlight: () => inFlight,
    bytesPerMessage: 100,
    take: ({ data }, heldBy) => {
      taken.push([data.readUInt32BE(0), heldBy]);
      if (!ackAtOnce && heldBy === undefined) inFlight += 1;
    },
  });
  let sent = 0;
  const offer = (count: number, bytes = 10) => {
    for (let i = 0; i < count; i++) {
      const data = Buffer.alloc(bytes);
      data.writeUInt32BE(sent++);
      flow.offer({ data, isBinary: false });
    }
  };
  const pass = (ms: number) => {
    for (let at = 0; at < ms; at += 10) {
      clock.advance(10);
      jest.advanceTimersByTime(10);
    }
  };
  const settle = () => {
    inFlight -= 1;
    flow.poke();
  };
  return { flow, socket, taken, offer, pass, settle };
}

describe('FlowControl', () => {
  it('holds what is above the rate and does not read on; nothing is refused, and nothing overtakes', () => {
    const { socket, taken, offer, pass } = opened();
    offer(60);
    expect([taken.length, socket.reading]).toEqual([10, false]);
    pass(200);
    expect(taken.length).toBeGreaterThan(20);
    expect(taken.length).toBeLessThanOrEqual(30);
    pass(500);
    expect(taken).toEqual(Array.from({ length: 60 }, (_, i) => [i, undefined]));
    expect(socket.reading).toBe(true);
  });

  it('keeps the order and the rate, whatever comes when', () => {
    const steps = fc.array(fc.record({ count: fc.nat(30), ms: fc.nat(300) }), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (plan) => {
        const { taken, offer, pass, flow } = opened();
        let [sent, ms] = [0, 0];
        for (const step of plan) {
          offer(step.count);
          sent += step.count;
          pass(step.ms);
          ms += step.ms + 10;
          expect(taken.length).toBeLessThanOrEqual(10 + ms / 10);
        }
        pass(12_000);
        expect(taken).toEqual(Array.from({ length: sent }, (_, i) => [i, undefined]));
        expect(flow.heldBytes).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('charges a large frame for each message that it begins', () => {
    const { taken, offer, pass } = opened();
    offer(1, 950);
    offer(2);
    expect(taken.length).toBe(1);
    pass(60);
    expect(taken.length).toBe(3);
  });

  it('waits for the place of a message in flight', () => {
    const { socket, taken, offer, settle } = opened({ maxInFlight: 2, ackAtOnce: false });
    offer(4);
    expect([taken.length, socket.reading]).toEqual([2, false]);
    settle();
    settle();
    expect([taken.length, socket.reading]).toEqual([4, true]);
  });

  it('refuses what it holds when nothing moves for five seconds, with the limit that holds it', () => {
    const { socket, taken, offer, pass } = opened({ maxInFlight: 2, ackAtOnce: false });
    offer(5);
    pass(4_900);
    expect(taken.length).toBe(2);
    pass(700);
    expect(taken.slice(2)).toEqual([
      [2, 'in_flight'],
      [3, 'in_flight'],
      [4, 'in_flight'],
    ]);
    expect(socket.reading).toBe(true);
  });

  it('reads on only when every reason not to has gone', () => {
    const { flow, socket, taken, offer } = opened();
    flow.stop('unread');
    flow.stop('misuse');
    offer(1);
    flow.go('unread');
    expect([socket.reading, taken.length, flow.isReading]).toEqual([false, 0, false]);
    flow.go('misuse');
    expect([socket.reading, taken.length, flow.isReading]).toEqual([true, 1, true]);
  });
});
