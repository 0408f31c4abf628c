import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from '../core/brands.ts';
import { duplicateRow, factRow, gapRow, INGEST_COLUMNS, type IngestRow, replacementRows } from './ingest-row.ts';
import { presentAfter } from './present-row.ts';
import { outcomeOf } from './testing/outcomes.ts';

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;

describe('a row', () => {
  const place = { block: { topicId: TOPIC, partition: 3, from: 10, to: 20 }, offset: 12, isLegacy: false };
  const named = (row: IngestRow) => Object.fromEntries(INGEST_COLUMNS.map((name, index) => [name, row[index]]));

  it('has one value a column, all within the column’s range, whatever the outcome says', () => {
    const wild = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(2 ** 53, -1, Number.NaN));
    fc.assert(
      fc.property(wild, wild, wild, (time, score, small) => {
        const base = outcomeOf({ partition: 3, offset: 5 });
        const insight = base.insight && { ...base.insight, sentiment_score: score, toxicity_score: score };
        const row = factRow(
          { ...base, sent_at: time, received_at: small, attempts: small, nlp_ms: small, insight },
          place,
        );
        expect(row).toHaveLength(INGEST_COLUMNS.length);
        const { sent_at, sentiment_e4, attempts, nlp_ms, latency_ms, toxicity_score } = named(row) as Record<
          string,
          number
        >;
        expect(sent_at).toBeGreaterThanOrEqual(0);
        expect(sent_at).toBeLessThanOrEqual(Date.UTC(2299, 11, 31));
        expect(Math.abs(sentiment_e4 as number)).toBeLessThanOrEqual(10_000);
        for (const value of [sent_at, sentiment_e4, attempts, nlp_ms, latency_ms])
          expect(value).toBe(Math.trunc(value as number));
        expect(attempts).toBeLessThanOrEqual(65_535);
        expect(Number.isFinite(toxicity_score)).toBe(true);
      }),
    );
  });

  it('goes where its kind belongs', () => {
    const outcome = outcomeOf({ partition: 3, offset: 5 });
    const effects = (row: IngestRow) => row.slice(0, 4);
    expect(effects(factRow(outcome, place))).toEqual([1, 1, 1, 0]);
    expect(effects(duplicateRow(outcome, place))).toEqual([1, 0, 0, 0]);
    expect(named(gapRow(outcome, 7, 9, place))).toMatchObject({
      to_receipts: 1,
      to_messages: 0,
      sign: 0,
      offset: 7,
      last_offset: 9,
    });
    const old = presentAfter(outcomeOf({ partition: 3, offset: 4, outcome: 'degraded' }), { kind: 'first' });
    const newer = { ...outcome, message_id: old.message_id, tenant_id: old.tenant_id, revision: 1 };
    const [retraction, fact] = replacementRows(newer, old, place).map(named);
    expect(retraction).toMatchObject({
      to_receipts: 0,
      to_messages: 0,
      sign: -1,
      outcome: 'degraded',
      revision: 0,
      sent_at: old.sent_at,
    });
    expect(fact).toMatchObject({
      to_receipts: 1,
      to_messages: 1,
      sign: 1,
      revision: 1,
      sent_at: old.sent_at,
      origin_offset: 4,
    });
  });

  it('that replaces another keeps the latency of the first answer, wherever that counted', () => {
    const slow = { partition: 3, offset: 4, received_at: 1_000, enriched_at: 31_300 };
    const old = presentAfter(outcomeOf({ ...slow, outcome: 'degraded' }), { kind: 'first' });
    const hoursLater = { received_at: 1_000, enriched_at: 9_000_000 };
    const newer = { ...outcomeOf({ partition: 3, offset: 5, revision: 1, supersedes: 0 }), ...hoursLater };
    const replaced = replacementRows({ ...newer, message_id: old.message_id, tenant_id: old.tenant_id }, old, place);
    expect(replaced.map(named)).toMatchObject([
      { sign: -1, latency_ms: 30_300, latency_counts: 1 },
      { sign: 1, latency_ms: 30_300, latency_counts: 1, revision: 1 },
    ]);
    // The message of a replay that finds no earlier row has no first answer that is known.
    expect(named(factRow(newer, place))).toMatchObject({ latency_counts: 0 });
  });

  it('of a block that an earlier version began is counted the way it was begun', () => {
    expect(named(factRow(outcomeOf({ partition: 3, offset: 5 }), { ...place, isLegacy: true }))).toMatchObject({
      rollups: 0,
    });
    expect(named(factRow(outcomeOf({ partition: 3, offset: 5 }), place))).toMatchObject({ rollups: 1 });
  });
});
