import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { pauseMs, verdictOf } from './commit-errors.ts';

it('pauses double from 100 ms to ten seconds, and are half a minute where only an operator can help', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), (failures) => {
      const longest = Math.min(100 * 2 ** (failures - 1), 10_000);
      expect(pauseMs('passing', failures)).toBeGreaterThanOrEqual(longest / 2);
      expect(pauseMs('passing', failures)).toBeLessThanOrEqual(longest);
      expect(pauseMs('final', failures)).toBeGreaterThanOrEqual(15_000);
      expect(pauseMs('final', failures)).toBeLessThanOrEqual(30_000);
    }),
  );
});

it('an error of a later Kafka may pass, and none that is a member’s end or an operator’s is taken for one that does', () => {
  expect(verdictOf('ERROR_999')).toBe('passing');
  expect(verdictOf('KafkaJSConnectionError')).toBe('passing');
  expect(verdictOf('UNKNOWN_MEMBER_ID')).toBe('expelled');
  expect(verdictOf('ILLEGAL_GENERATION')).toBe('generation');
  expect(verdictOf('GROUP_AUTHORIZATION_FAILED')).toBe('final');
});
