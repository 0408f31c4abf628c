import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ConsecutiveBreaker, circuitBreaker, handleWhen } from 'cockatiel';
import { OutageGate } from './outage-gate.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const isHandled = (error: unknown) => (error as Error).message !== 'rejected';

/** A gate at a breaker that opens at once and is half-open after 1 s; probes go out every 1.1 s. */
function gated() {
  const breaker = circuitBreaker(handleWhen(isHandled), { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(1) });
  const gate = new OutageGate({ breaker } as never, 1_100, () => {});
  const call = (message?: string) =>
    breaker
      .execute(async () => {
        if (message) throw new Error(message);
      })
      .catch(() => {});
  return { gate, call };
}

describe('OutageGate', () => {
  it('lets those who wait and those who are turned away probe in turns', async () => {
    const { gate, call } = gated();
    await call('down');
    expect([gate.isOpen, gate.tryEnter()]).toEqual([false, false]);
    // One record that the API chokes on waits all the time.
    let probes = 0;
    const choke = async () => {
      for (;;) {
        await gate.enter();
        if (gate.isOpen) return;
        probes++;
        await call('choked');
      }
    };
    void choke();
    await jest.advanceTimersByTimeAsync(1_100);
    expect(probes).toBe(1);
    expect(gate.tryEnter()).toBe(false);
    await jest.advanceTimersByTimeAsync(1_100);
    expect(probes).toBe(1);
    expect([gate.tryEnter(), gate.tryEnter()]).toEqual([true, false]);
    await call();
    expect(gate.isOpen).toBe(true);
  });

  it('takes one that waits when nobody comes to probe', async () => {
    const { gate, call } = gated();
    await call('down');
    gate.tryEnter();
    let probes = 0;
    const wait = async () => {
      await gate.enter();
      probes++;
      await call('still down');
      gate.tryEnter();
      await gate.enter();
      probes++;
    };
    void wait();
    await jest.advanceTimersByTimeAsync(1_100);
    expect(probes).toBe(1);
    await jest.advanceTimersByTimeAsync(1_100);
    expect(probes).toBe(1);
    await jest.advanceTimersByTimeAsync(1_100);
    expect(probes).toBe(2);
    gate.close();
  });

  it('knows that the API fails long before a breaker that looks back over seconds would', async () => {
    const breaker = circuitBreaker(handleWhen(isHandled), {
      halfOpenAfter: 1_000,
      breaker: new ConsecutiveBreaker(1_000_000),
    });
    const gate = new OutageGate({ breaker } as never, 1_100, () => {});
    const call = (message: string) => breaker.execute(() => Promise.reject(new Error(message))).catch(() => {});
    for (let n = 0; n < 1_000; n++) await breaker.execute(async () => {});
    // A text whose five attempts fail while the API works is at fault itself; rejections are answers.
    for (let n = 0; n < 5; n++) await call('failed');
    for (let n = 0; n < 100; n++) await call('rejected');
    expect(gate.apiWorks).toBe(true);
    for (let n = 0; n < 35; n++) await call('failed');
    expect([gate.isOpen, gate.apiWorks]).toEqual([true, false]);
    for (let n = 0; n < 35; n++) await breaker.execute(async () => {});
    expect(gate.apiWorks).toBe(true);
  });
});
