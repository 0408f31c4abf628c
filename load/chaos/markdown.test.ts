import { describe, expect, it } from '@jest/globals';
import type { VerifyReport } from '../../services/verify/verify.ts';
import type { ChaosReport } from './chaos-report.ts';
import { markdownReport } from './markdown.ts';

const report = (violations: readonly string[]): ChaosReport => ({
  ok: violations.length === 0,
  seed: 7,
  repeat: 'npm run chaos -- --seed 7',
  violations,
  events: [
    {
      number: 1,
      at_ms: 1_000,
      kind: 'kill',
      part: 'enricher-1',
      for_ms: 0,
      began_ms: 1_100,
      recovery_ms: 2_345,
      failure: null,
      repeated_calls: 3,
    },
    {
      number: 2,
      at_ms: 2_000,
      kind: 'silence',
      part: 'sink-kafka',
      for_ms: 8_000,
      began_ms: 2_000,
      recovery_ms: null,
      failure: null,
      repeated_calls: 0,
    },
  ],
  duration_s: 60,
  sent: 100,
  acked: 100,
  resent: 0,
  reconnects: 0,
  poison: 0,
  foreign: 0,
  dead_letters: 0,
  nlp_calls: { sent: 103, repeated: 3 },
  kills: [
    {
      event: 1,
      life: 'enricher-1#1',
      calls_in_flight: 2,
      answered_not_acked: 1,
      acked_not_committed: null,
      oldest_not_committed_ms: 0,
      repeated: 3,
      unexplained: [],
      unexplained_calls: [],
    },
  ],
  ended_by_themselves: { 'sink-1': 2 },
  verify: {
    topics: { 'chat.events': { events: 100, missing: 0, duplicate_receipts: 0 } },
    violations: { double_receipts: 0 },
  } as unknown as VerifyReport,
  logs: null,
});

describe('the report as Markdown', () => {
  it('has a row for each event and each kill, every row as wide as its header', () => {
    const text = markdownReport(report([]));
    const tables = text
      .trim()
      .split('\n\n')
      .filter((block) => block.startsWith('|'));
    expect(tables).toHaveLength(3);
    for (const table of tables) {
      const widths = new Set(table.split('\n').map((row) => row.split('|').length));
      expect([table, widths.size]).toEqual([table, 1]);
    }
    expect(text).toContain('| 1 | 1.1 s | kill | enricher-1 |  | 2.3 s | 3 |');
    expect(text).toContain('| 2 | 2.0 s | silence | sink-kafka | 8.0 s | never | 0 |');
    expect(text).toContain('| 1 | enricher-1#1 | 2 | 1 | not read in time | 0 ms | 3 | 0 |');
  });

  it('says what was violated', () => {
    expect(markdownReport(report(['one message is missing']))).toContain('* one message is missing');
    expect(markdownReport(report([]))).toContain('Nothing lost, nothing counted twice.');
  });
});
