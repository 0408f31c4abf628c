import type { FetchedRecord } from '../../platform/kafka/record.ts';

export const recordOf = (offset: number, size = 100): FetchedRecord => ({
  offset,
  size,
  timestamp: 1_790_000_000_000,
  key: null,
  value: Buffer.alloc(0),
  headers: {},
});
/** Records `[from, to)`, each of 100 bytes. */
export const records = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => recordOf(from + index));
