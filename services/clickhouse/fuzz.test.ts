import { describe, expect, it } from '@jest/globals';
import { fuzz } from './testing/fuzz.ts';

/** `npm run fuzz:clickhouse` sends a million. */
const STATEMENTS = 200;
const SEED = 20_261_128;
/** 200 statements take 1 s on an idle machine and 30 s beside thirty busy processes. */
const PATIENCE_MS = 240_000;

describe('a disguised statement', () => {
  it(
    'of an analyst reads and writes no file outside of the data folder, and always gets an answer',
    async () => {
      const { byStatus, breaches } = await fuzz({ statements: STATEMENTS, seed: SEED, user: 'analyst' });
      expect(breaches).toEqual([]);
      expect(Object.values(byStatus).reduce((sum, count) => sum + count, 0)).toBe(STATEMENTS);
      expect(byStatus['403']).toBeGreaterThan(STATEMENTS / 10);
    },
    PATIENCE_MS,
  );

  it(
    'reads the file where nothing forbids it, so that the test above could fail',
    async () => {
      const { breaches } = await fuzz({ statements: STATEMENTS, seed: SEED, user: 'default' });
      expect(breaches.some(({ what }) => what === 'the secret was read')).toBe(true);
    },
    PATIENCE_MS,
  );
});
