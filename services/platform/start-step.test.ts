import { expect, it, jest } from '@jest/globals';
import type { Logger } from './logger.ts';
import { startStep } from './start-step.ts';

it('a step of the start that takes long is named every ten seconds, until it is done', async () => {
  jest.useFakeTimers();
  try {
    const said: unknown[] = [];
    const log = { warn: (fields: { step: string }) => said.push(fields.step) } as unknown as Logger;
    const { promise, resolve } = Promise.withResolvers<number>();
    const done = startStep(log, 'topics', promise);
    await jest.advanceTimersByTimeAsync(25_000);
    expect(said).toEqual(['topics', 'topics']);
    resolve(7);
    expect(await done).toBe(7);
    await jest.advanceTimersByTimeAsync(25_000);
    expect(said).toHaveLength(2);
  } finally {
    jest.useRealTimers();
  }
});
