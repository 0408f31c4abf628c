import { describe, expect, it } from '@jest/globals';
import { judge, presentAfter } from './present-row.ts';
import { outcomeOf } from './testing/outcomes.ts';

describe('judging a later record of a message', () => {
  const present = (outcome: string, revision: number) =>
    presentAfter(outcomeOf({ partition: 0, offset: 0, outcome, revision }), { kind: 'first' });
  it.each([
    ['nothing there', 'enriched', 0, null, undefined, 'first'],
    ['a replay of what is not there', 'enriched', 1, 0, undefined, 'first'],
    ['a resend', 'enriched', 0, null, present('dead_lettered', 0), 'duplicate'],
    ['a replay of a dead letter', 'enriched', 1, 0, present('dead_lettered', 0), 'replace'],
    ['the same replay again', 'enriched', 1, 0, present('enriched', 1), 'duplicate'],
    ['a replay that came out worse', 'degraded', 1, 0, present('enriched', 0), 'duplicate'],
    ['a replay that came out the same', 'enriched', 1, 0, present('enriched', 0), 'replace'],
    ['a replay overtaken by a newer one', 'enriched', 2, 1, present('degraded', 2), 'duplicate'],
  ] as const)('%s', (_, outcome, revision, supersedes, found, kind) => {
    expect(judge({ outcome, revision, supersedes }, found).kind).toBe(kind);
  });
});
