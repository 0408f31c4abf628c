import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { HeldBackError, type PacedCall, SendRate, type SendRateOptions } from './send-rate.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const LATENCY_MS = 200;

/** An API that admits `quotaPerS`, a second's worth at once, and refuses all else at once with a `Retry-After`. */
class QuotaApi {
  calls = 0;
  admitted = 0;
  quotaPerS: number;
  readonly retryAfterMs: number | undefined;
  #tokens: number;
  #filledAtMs = performance.now();

  constructor(quotaPerS: number, retryAfterMs?: number) {
    this.quotaPerS = quotaPerS;
    this.retryAfterMs = retryAfterMs;
    this.#tokens = quotaPerS;
  }

  admits(): boolean {
    const now = performance.now();
    this.#tokens = Math.min(this.#tokens + ((now - this.#filledAtMs) * this.quotaPerS) / 1_000, this.quotaPerS);
    this.#filledAtMs = now;
    this.calls++;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    this.admitted++;
    return true;
  }
}

/** Messages without end, each asked again after a refusal, of which `concurrency` at most are under way. */
class Demand {
  readonly rate: SendRate;
  readonly #api: QuotaApi;
  readonly #concurrency: number;
  #underWay = 0;
  heldBack = 0;

  constructor(api: QuotaApi, concurrency: number, options: Partial<SendRateOptions> = {}) {
    this.#api = api;
    this.#concurrency = concurrency;
    this.rate = new SendRate({ random: () => 0.5, onRoom: () => this.start(), ...options });
  }

  start(): void {
    while (this.#underWay < this.#concurrency && this.rate.room > 0) {
      this.#underWay++;
      this.#submit();
    }
  }

  #submit(): void {
    this.rate.submit({
      isWanted: true,
      send: () => this.#send(performance.now()),
      notSent: () => {
        this.heldBack++;
        setTimeout(() => this.#submit(), 1_000);
      },
    });
  }

  #send(sentAtMs: number): void {
    if (this.#api.admits()) {
      setTimeout(() => {
        this.rate.answered(performance.now());
        this.#underWay--;
        this.start();
      }, LATENCY_MS);
      return;
    }
    setTimeout(() => {
      this.rate.refused(sentAtMs);
      if (this.#api.retryAfterMs !== undefined) this.rate.pauseFor(this.#api.retryAfterMs);
      setTimeout(() => this.#submit(), 50 * ((sentAtMs * 7919) % 1));
    }, 2);
  }
}

describe('the rate of calls to an API with a quota', () => {
  it.each([
    [50, 1_000],
    [50, undefined],
    [5, 1_000],
    [400, 2_000],
  ])(
    'of %i a second and a Retry-After of %p ms stays near it, and uses most of it',
    async (quotaPerS, retryAfterMs) => {
      const api = new QuotaApi(quotaPerS, retryAfterMs);
      const demand = new Demand(api, 500);
      demand.start();
      await jest.advanceTimersByTimeAsync(10_000);
      const before = { ...api };
      await jest.advanceTimersByTimeAsync(60_000);
      const admitted = api.admitted - before.admitted;
      expect((api.calls - before.calls) / admitted).toBeLessThan(1.3);
      expect(admitted).toBeGreaterThan(quotaPerS * 60 * 0.6);
      expect(admitted).toBeLessThanOrEqual(quotaPerS * 61);
      demand.rate.close();
    },
  );

  it('grows back when the quota does, and is forgotten once nothing was refused for a minute', async () => {
    const api = new QuotaApi(50, 1_000);
    const demand = new Demand(api, 50);
    demand.start();
    await jest.advanceTimersByTimeAsync(30_000);
    api.quotaPerS = 1_000_000;
    const { admitted } = api;
    await jest.advanceTimersByTimeAsync(30_000);
    expect(api.admitted - admitted).toBeGreaterThan(30 * 100);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(demand.rate.perS).toBe(Number.POSITIVE_INFINITY);
    demand.rate.close();
  });
});

/** A call that says what became of it. */
function callOf(name: string, log: string[], isWanted = true): PacedCall {
  return {
    isWanted,
    send: () => log.push(name),
    notSent: (error) => log.push(`${name}: ${error instanceof HeldBackError ? 'held back' : 'dropped'}`),
  };
}

describe('a Retry-After', () => {
  it('stops all calls until then, with room again at its end', async () => {
    const log: string[] = [];
    const rate = new SendRate({ random: () => 0, onRoom: () => log.push('room') });
    rate.submit(callOf('before', log));
    rate.pauseFor(3_000);
    expect(rate.room).toBe(0);
    rate.submit(callOf('within', log));
    await jest.advanceTimersByTimeAsync(2_900);
    expect(log).toEqual(['before']);
    await jest.advanceTimersByTimeAsync(200);
    expect(log).toEqual(['before', 'within', 'room']);
    expect(rate.room).toBe(Number.POSITIVE_INFINITY);
  });

  it('of a maintenance page counts as an outage at once: calls come back, and are sent again when it is over', async () => {
    const log: string[] = [];
    const rate = new SendRate({ random: () => 0 });
    rate.refused(0);
    rate.pauseFor(30_000);
    expect(rate.isLasting).toBe(true);
    rate.submit(callOf('prompt', log));
    await jest.advanceTimersByTimeAsync(0);
    expect(log).toEqual(['prompt: held back']);
    await jest.advanceTimersByTimeAsync(30_100);
    expect(rate.isLasting).toBe(false);
    rate.submit(callOf('later', log));
    await jest.advanceTimersByTimeAsync(2_000);
    expect(log).toEqual(['prompt: held back', 'later']);
  });

  it('of a year is cut to a minute', async () => {
    const log: string[] = [];
    const rate = new SendRate({ random: () => 1 });
    rate.pauseFor(365 * 86_400_000);
    await jest.advanceTimersByTimeAsync(66_100);
    rate.submit(callOf('later', log));
    expect(log).toEqual(['later']);
  });
});

it('a throttle is lasting once calls waited for five seconds, and over a second after none did', async () => {
  const api = new QuotaApi(5);
  const changes: boolean[] = [];
  const demand = new Demand(api, 50, { onLasting: (isLasting) => changes.push(isLasting) });
  demand.start();
  await jest.advanceTimersByTimeAsync(3_000);
  expect(demand.rate.isLasting).toBe(false);
  await jest.advanceTimersByTimeAsync(9_000);
  expect(demand.rate.isLasting).toBe(true);
  api.quotaPerS = 1_000_000;
  await jest.advanceTimersByTimeAsync(20_000);
  expect(demand.rate.isLasting).toBe(false);
  expect(changes).toEqual([true, false]);
  demand.rate.close();
});

describe('an API that documents its rate', () => {
  it('gets a tenth of a second’s calls at once and the others one by one, in order', async () => {
    const log: string[] = [];
    const rate = new SendRate({ requestsPerS: 100, random: () => 0 });
    for (let n = 0; n < 15; n++) rate.submit(callOf(String(n), log));
    expect(log).toHaveLength(10);
    await jest.advanceTimersByTimeAsync(11);
    expect(log).toHaveLength(11);
    await jest.advanceTimersByTimeAsync(200);
    expect(log).toEqual(Array.from({ length: 15 }, (_, n) => String(n)));
  });

  it('is not asked for what is no longer wanted, and no token is spent on it', async () => {
    const log: string[] = [];
    const rate = new SendRate({ requestsPerS: 10, random: () => 0 });
    rate.submit(callOf('first', log));
    for (let n = 0; n < 50; n++) rate.submit(callOf('lost', log, false));
    rate.submit(callOf('next', log));
    await jest.advanceTimersByTimeAsync(150);
    expect(log.filter((line) => !line.startsWith('lost'))).toEqual(['first', 'next']);
    expect(log.filter((line) => line === 'lost: dropped')).toHaveLength(50);
  });

  it('leaves room for a tenth of a second of calls, so that all others wait where tenants take turns', () => {
    const rate = new SendRate({ requestsPerS: 100, random: () => 0 });
    expect(rate.room).toBe(10);
    for (let n = 0; n < 16; n++) rate.submit(callOf(String(n), []));
    expect([rate.waiting, rate.room]).toEqual([6, 4]);
    rate.close();
  });
});
