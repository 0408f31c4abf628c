export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A number as JavaScript holds it; an integer above 2^53 as the text it was written in, since JSON.parse would round it and
 * make one id of two.
 */
export function exactNumber(written: string): number | string {
  const value = Number(written);
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? written : value;
}
