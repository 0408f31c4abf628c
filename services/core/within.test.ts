import { expect, it } from '@jest/globals';
import { within } from './within.ts';

const never = new Promise<never>(() => undefined);

it('the result of work that ends in time is passed on, a rejection too', async () => {
  expect(await within(60_000, Promise.resolve(7), () => 'late')).toBe(7);
  await expect(within(60_000, Promise.reject(new Error('failed')), () => 'late')).rejects.toThrow('failed');
});

it('work that takes longer gives what the caller has for that case, an error too', async () => {
  expect(await within(1, never, () => 'late')).toBe('late');
  const late = () => {
    throw new Error('no answer within 1 ms');
  };
  await expect(within(1, never, late)).rejects.toThrow('no answer within 1 ms');
});

it('a rejection after the bound is no unhandled one', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  const work = Promise.withResolvers<void>();
  expect(await within(1, work.promise, () => 'late')).toBe('late');
  work.reject(new Error('too late'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
