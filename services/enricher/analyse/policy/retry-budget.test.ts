import { expect, it } from '@jest/globals';
import { RetryBudget } from './retry-budget.ts';

it('retries beyond two fifths of the calls are put off until they are earned', () => {
  let now = 0;
  const budget = new RetryBudget(() => now);
  for (let n = 0; n < 100; n++) expect(budget.take()).toBe(0);
  // Spent: ten a second are earned without a call.
  expect(budget.take()).toBe(100);
  expect(budget.take()).toBe(200);
  // A thousand calls a second for twenty seconds earn four hundred retries a second, and ten.
  for (; now < 20_000; now += 1_000) {
    budget.take();
    for (let n = 0; n < 1_000; n++) budget.call();
  }
  let atOnce = 0;
  while (budget.take() === 0) atOnce++;
  expect(atOnce).toBeGreaterThan(2_800);
  expect(atOnce).toBeLessThan(4_200);
});

it('no retry is put off for more than half a minute', () => {
  const budget = new RetryBudget(() => 0);
  for (let n = 0; n < 5_000; n++) budget.take();
  expect(budget.take()).toBe(30_000);
});
