import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { NlpError } from '../nlp-errors.ts';
import { Breaker, isBrokenCircuit } from './breaker.ts';

const failure = new NlpError('failed', 'http_500', 'the NLP API answered 500');
const throttle = new NlpError('throttled', 'http_429', 'too many');

/** A breaker, and what its listeners are told. */
function bench(halfOpenAfterMs = 60_000) {
  const breaker = new Breaker({ threshold: 0.5, windowMs: 10_000, minimumRps: 1, halfOpenAfterMs });
  const told: string[] = [];
  breaker.onBreak(() => told.push('break'));
  breaker.onReset(() => told.push('reset'));
  breaker.onSuccess(() => told.push('success'));
  breaker.onFailure(({ handled }) => told.push(handled ? 'failure' : 'answer'));
  const fail = async (error: Error, times: number) => {
    for (let n = 0; n < times; n++) await expect(breaker.failed(error)).rejects.toBe(error);
  };
  return { breaker, told, fail };
}

describe('the breaker', () => {
  it('weighs failures against successes, and opens when they are half of all', async () => {
    const { breaker, told, fail } = bench();
    for (let n = 0; n < 40; n++) breaker.succeeded();
    await fail(failure, 30);
    expect([breaker.state, told.filter((each) => each === 'success').length]).toEqual(['closed', 40]);
    await fail(failure, 15);
    expect([breaker.state, told.includes('break')]).toEqual(['open', true]);
  });

  it('takes throttles for answers', async () => {
    const { breaker, told, fail } = bench();
    await fail(throttle, 50);
    expect(breaker.state).toBe('closed');
    expect(new Set(told)).toEqual(new Set(['answer']));
  });

  it('lets none through while it is open, and takes nothing of what was begun before for its probe', async () => {
    const { breaker, told, fail } = bench();
    await fail(failure, 50);
    const before = told.length;
    breaker.succeeded();
    await fail(failure, 1);
    expect([breaker.state, told.length]).toEqual(['open', before]);
    const refused = await breaker.execute(async () => 'asked').catch((error: unknown) => error);
    expect(isBrokenCircuit(refused)).toBe(true);
  });

  it('is closed by its probe', async () => {
    const { breaker, told, fail } = bench(20);
    await fail(failure, 50);
    await eventually(async () => expect(await breaker.execute(async () => 'asked')).toBe('asked'));
    expect([breaker.state, told.slice(-2).toSorted()]).toEqual(['closed', ['reset', 'success']]);
  });
});
