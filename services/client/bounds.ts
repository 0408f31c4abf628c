/** What a timer can wait at most: beyond it `setTimeout` fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** @returns a delay that a timer takes: 0 for what is no number or is negative, and never above `maxMs`. */
export const delayMs = (value: unknown, maxMs = MAX_TIMER_MS): number =>
  typeof value === 'number' && value > 0 ? Math.min(value, maxMs) : 0;

/** @returns the value where it is an integer from 1, else the fallback. */
export const countOr = (value: unknown, fallback: number): number =>
  Number.isSafeInteger(value) && (value as number) >= 1 ? (value as number) : fallback;
