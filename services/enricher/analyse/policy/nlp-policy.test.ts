import { describe, expect, it, jest } from '@jest/globals';
import type { Insight } from '../../../core/records.ts';
import { eventually } from '../../../core/testing/eventually.ts';
import type { Analysis } from '../analysis.ts';
import { MicroBatcher } from '../batch/micro-batcher.ts';
import { Analyser } from '../cache/analyser.ts';
import type { Receiver } from '../callbacks.ts';
import type { Cancellation } from '../cancellation.ts';
import { ApiAnalyser } from '../gate/api-analyser.ts';
import { OutageGate } from '../gate/outage-gate.ts';
import { errorOfStatus, NlpError } from '../nlp-errors.ts';
import type { NlpProvider, ProviderLimits } from '../provider/provider.ts';
import { type Ending, GradientLimit } from './gradient-limit.ts';
import { backoffMs, NlpPolicy, type NlpPolicyOptions } from './nlp-policy.ts';

const OPTIONS: NlpPolicyOptions = {
  concurrency: 50,
  initialConcurrency: 50,
  timeoutMs: 200,
  maxRetries: 3,
  backoffBaseMs: 1,
  backoffCapMs: 4,
  breakerThreshold: 0.5,
  breakerWindowMs: 400,
  breakerMinimumRps: 5,
  halfOpenAfterMs: 60,
  hedgeShare: 0,
  random: () => 0.5,
  onRetry: () => {},
  onHedge: () => {},
  onLimitMove: () => {},
};
const INSIGHT = { language: 'en', model: 'm' } as Insight;
const failed = () => new NlpError('failed', 'http_500', 'the NLP API answered 500');
const throttled = (retryAfterMs?: number) => new NlpError('throttled', 'http_429', 'too many', { retryAfterMs });
const rejected = () => new NlpError('rejected', 'http_400', 'the NLP API answered 400');

const LIMITS: ProviderLimits = {
  maxDocuments: 1,
  maxRequestBytes: 1_000_000,
  requestOverheadBytes: 0,
  documentOverheadBytes: 0,
  maxTextChars: 1_000,
  overlongText: 'reject',
};
const BATCHES = { mode: 'off', maxDocuments: 1, maxBytes: 1_000_000, lingerMs: 0 } as const;

/** The analyser over a policy and a gate, with the API's answers given by the test. */
function analyserOf(answer: (call: number) => Promise<Insight>, options: Partial<NlpPolicyOptions> = {}) {
  const all = { ...OPTIONS, ...options };
  const policy = new NlpPolicy(all);
  const changes: boolean[] = [];
  const gate = new OutageGate(policy, all.halfOpenAfterMs + 10, (open) => changes.push(open));
  let calls = 0;
  const analyze = jest.fn<NlpProvider['analyze']>((_, receiver) => {
    const succeeded = (insight: Insight) => receiver.received([{ ok: true, insight }]);
    answer(++calls).then(succeeded, (error: unknown) => receiver.failed(error));
  });
  const provider: NlpProvider = { name: 'test', limits: LIMITS, analyze, close: async () => {} };
  const ignore = () => {};
  const batcher = new MicroBatcher({
    ...BATCHES,
    provider,
    policy,
    onCall: ignore,
    onRetry: ignore,
    onNoBatches: ignore,
  });
  const api = new ApiAnalyser({ batcher, gate, roundDelayMs: () => 5 });
  const analyser = new Analyser({ api, cache: undefined });
  const analyse = (id: string, text: string, stillWanted: () => boolean, onOutage: 'wait' | 'return' = 'wait') =>
    analyser.analyse({ id, text, stillWanted, hedgeUntilMs: Number.NEGATIVE_INFINITY, onOutage });
  return { analyse, policy, gate, changes, analyze };
}

describe('the verdict on a response', () => {
  it.each([
    [400, undefined, 'rejected'],
    [413, undefined, 'too_large'],
    [422, undefined, 'rejected'],
    [401, undefined, 'misconfigured'],
    [403, undefined, 'misconfigured'],
    [404, undefined, 'misconfigured'],
    [418, undefined, 'misconfigured'],
    [408, undefined, 'failed'],
    [425, undefined, 'failed'],
    [429, undefined, 'throttled'],
    [429, '3', 'throttled'],
    [503, '3', 'throttled'],
    [503, undefined, 'failed'],
    [500, undefined, 'failed'],
    [599, undefined, 'failed'],
  ] as const)('status %i with Retry-After %s is %s', (status, retryAfter, failure) => {
    expect(errorOfStatus(status, retryAfter, 0).failure).toBe(failure);
  });

  it('understands Retry-After in seconds and as a date, and nothing else', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(errorOfStatus(429, '2', now).retryAfterMs).toBe(2_000);
    expect(errorOfStatus(429, 'Thu, 01 Jan 2026 00:00:05 GMT', now).retryAfterMs).toBe(5_000);
    expect(errorOfStatus(429, 'Wed, 31 Dec 2025 00:00:05 GMT', now).retryAfterMs).toBe(0);
    expect(errorOfStatus(429, 'soon', now).retryAfterMs).toBeUndefined();
  });
});

describe('NlpPolicy', () => {
  it('backs off with full jitter below the cap', () => {
    const at = (attempt: number, random: number) =>
      backoffMs(attempt, { backoffBaseMs: 50, backoffCapMs: 2_000, random: () => random });
    expect([at(1, 0), at(1, 1), at(3, 1), at(20, 1)]).toEqual([0, 50, 200, 2_000]);
  });

  it('retries what may be retried, and gives up with the last cause', async () => {
    const causes: string[] = [];
    const { analyse, analyze } = analyserOf((n) => (n < 3 ? Promise.reject(failed()) : Promise.resolve(INSIGHT)), {
      onRetry: (cause) => causes.push(cause),
    });
    expect(await analyse('m', 'text', () => true)).toMatchObject({ kind: 'analysed', attempts: 3 });
    expect(causes).toEqual(['http_500', 'http_500']);
    expect(analyze).toHaveBeenCalledTimes(3);

    // Too few calls for the breaker to judge: the message itself is given up.
    const lone = analyserOf(() => Promise.reject(failed()), { breakerMinimumRps: 1_000 });
    expect(await lone.analyse('m', 'text', () => true)).toEqual({
      kind: 'exhausted',
      detail: 'the NLP API answered 500',
      attempts: 4,
      cause: 'http_500',
    });
  });

  it('does not retry a rejection', async () => {
    const { analyse, analyze } = analyserOf(() => Promise.reject(rejected()));
    expect(await analyse('m', 'text', () => true)).toMatchObject({ kind: 'rejected', attempts: 1 });
    expect(analyze).toHaveBeenCalledTimes(1);
  });

  it('turns silence into a time-out that may be retried, and aborts the call', async () => {
    const aborted: boolean[] = [];
    const policy = new NlpPolicy({ ...OPTIONS, timeoutMs: 20, maxRetries: 1 });
    const hang = ({ signal }: Cancellation, receiver: Receiver<never>) =>
      signal.addEventListener('abort', () => {
        aborted.push(true);
        receiver.failed(signal.reason);
      });
    const answer = new Promise((received, failed) => {
      const read = () => {};
      policy.execute({
        hedgeUntilMs: Number.NEGATIVE_INFINITY,
        isWanted: true,
        attempt: hang,
        read,
        attemptFailed: read,
        received,
        failed,
      });
    });
    await expect(answer).rejects.toMatchObject({ failure: 'failed', cause_code: 'timeout' });
    expect(aborted).toHaveLength(2);
  });

  it('never gives a message up for a throttle', async () => {
    const { analyse } = analyserOf((n) => (n < 12 ? Promise.reject(throttled(1)) : Promise.resolve(INSIGHT)));
    expect(await analyse('m', 'text', () => true)).toMatchObject({ kind: 'analysed', attempts: 12 });
  });

  it('counts a maintenance page as an outage: a message that may be degraded comes back, one that may not waits', async () => {
    const page = errorOfStatus(503, '6', Date.now());
    const { analyse, analyze, policy } = analyserOf(() => Promise.reject(page));
    expect(await analyse('prompt', 'text', () => true, 'return')).toEqual({ kind: 'unavailable', attempts: 1 });
    expect(policy.calls.rate.isLasting).toBe(true);
    const others = Array.from({ length: 20 }, (_, n) => analyse(`m${n}`, 'text', () => true, 'return'));
    expect(new Set((await Promise.all(others)).map(({ kind }) => kind))).toEqual(new Set(['unavailable']));
    let wanted = true;
    const waiting = analyse('patient', 'text', () => wanted);
    await eventually(() => expect(policy.calls.rate.heldBack).toBeGreaterThan(23));
    expect(analyze).toHaveBeenCalledTimes(1);
    wanted = false;
    expect(await waiting).toEqual({ kind: 'abandoned' });
    policy.close();
  });

  it('holds a permit for an attempt, never during a backoff', async () => {
    const { analyse, policy } = analyserOf(
      (n) => (n === 1 ? Promise.reject(throttled(50)) : Promise.resolve(INSIGHT)),
      {
        concurrency: 1,
        initialConcurrency: 1,
      },
    );
    const waiting = analyse('slow', 'text', () => true);
    await eventually(() => expect(policy.calls.inFlight).toBe(0));
    expect(await analyse('quick', 'text', () => true)).toMatchObject({ kind: 'analysed' });
    expect(await waiting).toMatchObject({ attempts: 2 });
  });
});

describe('an outage', () => {
  it('holds messages back, probes with one at a time, and lets all go when the API answers', async () => {
    let down = true;
    let probes = 0;
    const { analyse, policy, gate, changes } = analyserOf(() => {
      if (policy.state === 'half_open') probes++;
      return down ? Promise.reject(failed()) : Promise.resolve(INSIGHT);
    });
    const all: Promise<Analysis>[] = [];
    const give = (count: number) => {
      for (let n = 0; n < count; n++) all.push(analyse(`m${all.length}`, 'text', () => true));
    };
    give(40);
    await eventually(() => {
      expect(policy.state).not.toBe('closed');
      expect(gate.held).toBe(40);
    });
    give(60);
    await eventually(() => expect(probes).toBeGreaterThanOrEqual(2));
    const before = probes;
    down = false;
    const results = await Promise.all(all);
    expect(results.every(({ kind }) => kind === 'analysed')).toBe(true);
    expect(changes).toEqual([false, true]);
    // Everything but the probes went through a closed breaker: nobody was parked and let go at once.
    expect(probes - before).toBeLessThanOrEqual(2);
    gate.close();
  });

  it('wakes retries that the budget put off, so that all wait at the gate and go on when the API answers', async () => {
    let down = true;
    const { analyse, policy, gate } = analyserOf(() => (down ? Promise.reject(failed()) : Promise.resolve(INSIGHT)), {
      // It judges 720 calls: 400 first ones, 260 retries in the budget, and 60 that it put off.
      breakerWindowMs: 60_000,
      breakerMinimumRps: 12,
    });
    const all = Array.from({ length: 400 }, (_, n) => analyse(`m${n}`, 'text', () => true));
    await eventually(() => expect(policy.budget.waiting).toBeGreaterThan(100));
    await eventually(() => expect(policy.state).not.toBe('closed'));
    expect(policy.budget.waiting).toBe(0);
    await eventually(() => expect(gate.held).toBe(400));
    down = false;
    expect(new Set((await Promise.all(all)).map(({ kind }) => kind))).toEqual(new Set(['analysed']));
    gate.close();
  });

  it('lets a message go whose partition was lost meanwhile, and the next one probes', async () => {
    let down = true;
    const { analyse, gate } = analyserOf(() => (down ? Promise.reject(failed()) : Promise.resolve(INSIGHT)));
    let wanted = true;
    const lost = Array.from({ length: 20 }, (_, n) => analyse(`lost${n}`, 'text', () => wanted));
    await eventually(() => expect(gate.held).toBe(20));
    wanted = false;
    down = false;
    const kept = analyse('kept', 'text', () => true);
    expect(await kept).toMatchObject({ kind: 'analysed' });
    expect((await Promise.all(lost)).map(({ kind }) => kind)).toEqual(Array(20).fill('abandoned'));
    gate.close();
  });
});

describe('GradientLimit', () => {
  /** A limit over an API whose latency a test sets, on a clock of its own. */
  function limited(options: { floor: number; ceiling: number; initial: number }) {
    let now = 0;
    const limit = new GradientLimit({ ...options, now: () => now });
    /** One full round of calls that all take `latencyMs`. */
    const round = async (
      latencyMs: number,
      { count = limit.concurrency, of = 1, end = 'answered' }: { count?: number; of?: number; end?: Ending } = {},
    ) => {
      const release: (() => void)[] = [];
      for (let n = 0; n < count; n++) {
        const held = (done: () => void) => {
          const startedAtMs = now;
          release.push(() => {
            limit.observe(now - startedAtMs, (n * of) % 1 < of ? end : 'answered');
            done();
          });
        };
        limit.hold({ held });
      }
      await new Promise(setImmediate);
      now += latencyMs;
      for (const go of release) go();
      await new Promise(setImmediate);
    };
    return { limit, round };
  }

  it('says when a permit comes free, so that the next call waits for nothing else', async () => {
    const heard: number[] = [];
    const onRelease = () => heard.push(limit.inFlight);
    const limit: GradientLimit = new GradientLimit({ floor: 1, ceiling: 2, initial: 2, onRelease });
    const releases: (() => void)[] = [];
    for (let n = 0; n < 3; n++) limit.hold({ held: (release) => releases.push(release) });
    await eventually(() => expect(releases).toHaveLength(2));
    // The third call has the permit of the first before anyone hears of it.
    releases[0]?.();
    expect([releases.length, heard]).toEqual([3, [2]]);
    releases[1]?.();
    releases[2]?.();
    expect(heard).toEqual([2, 1, 0]);
  });

  it('grows to the ceiling while answers are as quick as ever', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 500, initial: 100 });
    const seen = [limit.concurrency];
    for (let n = 0; n < 40; n++) {
      await round(200);
      seen.push(limit.concurrency);
    }
    expect(seen.at(-1)).toBe(500);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it('doubles in a few answers’ time at the start and after an outage, and never again once answers were slower', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 2_000, initial: 100 });
    for (let n = 0; n < 4; n++) await round(200);
    expect(limit.concurrency).toBeGreaterThan(200);
    await round(800);
    const before = limit.concurrency;
    for (let n = 0; n < 4; n++) await round(200);
    expect(limit.concurrency).toBeGreaterThan(before);
    expect(limit.concurrency).toBeLessThan(before * 1.5);
    limit.restart();
    expect(limit.concurrency).toBe(100);
    for (let n = 0; n < 4; n++) await round(200);
    expect(limit.concurrency).toBeGreaterThan(200);
  });

  it('shrinks while calls queue, and settles where they no longer do', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 2_000, initial: 100 });
    // An API that serves 300 at a time at 200 ms: what is above waits in its queue.
    for (let n = 0; n < 300; n++) await round(200 * Math.max(1, limit.concurrency / 300));
    expect(limit.concurrency).toBeGreaterThan(250);
    expect(limit.concurrency).toBeLessThan(1_200);
  });

  it('does not grow while it is not used', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 500, initial: 100 });
    for (let n = 0; n < 50; n++) await round(200, { count: 20 });
    expect(limit.concurrency).toBe(100);
  });

  it('shrinks by a tenth for each round of overloads, down to the floor', async () => {
    const { limit, round } = limited({ floor: 70, ceiling: 500, initial: 100 });
    await round(200, { end: 'timeout' });
    expect(limit.concurrency).toBe(90);
    for (let n = 0; n < 10; n++) await round(200, { end: 'throttled' });
    expect(limit.concurrency).toBe(70);
  });

  it('bears an API that becomes more than twice as slow by itself', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 2_000, initial: 500 });
    await round(200);
    for (let n = 0; n < 20; n++) await round(500);
    expect(limit.concurrency).toBeGreaterThan(500);
  });

  it('stays up where a few calls in a hundred are never answered, and not where many are', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 2_000, initial: 1_000 });
    for (let n = 0; n < 20; n++) await round(200, { of: 0.05, end: 'timeout' });
    expect(limit.concurrency).toBeGreaterThan(1_000);
    for (let n = 0; n < 20; n++) await round(200, { of: 0.4, end: 'timeout' });
    expect(limit.concurrency).toBeLessThan(400);
  });

  it('stays near what the API admits for ten seconds after a throttle', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 2_000, initial: 100 });
    await round(200, { of: 0.01, end: 'throttled' });
    expect(limit.concurrency).toBe(90);
    for (let n = 0; n < 40; n++) await round(200);
    expect(limit.concurrency).toBe(130);
    for (let n = 0; n < 40; n++) await round(200);
    expect(limit.concurrency).toBeGreaterThan(300);
  });

  it('accepts an API that became slower for good, after a minute', async () => {
    const { limit, round } = limited({ floor: 10, ceiling: 300, initial: 300 });
    await round(100);
    for (let n = 0; n < 30; n++) await round(1_000);
    expect(limit.concurrency).toBeLessThan(100);
    for (let n = 0; n < 100; n++) await round(1_000);
    expect(limit.concurrency).toBe(300);
  });
});
