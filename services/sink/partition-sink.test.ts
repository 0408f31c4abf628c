import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from '../core/brands.ts';
import { ManualClock } from '../core/clock.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { outcomeHeaders } from '../platform/record-headers.ts';
import { Intake, MemoryBudget } from './block-buffer.ts';
import { BlockReader } from './block-reader.ts';
import { Cadence } from './cadence.ts';
import { duplicateRow, factRow, gapRow, INGEST_COLUMNS, type IngestRow, replacementRows } from './ingest-row.ts';
import { decodeCommit, encodeCommit } from './intent.ts';
import { toLogEntry } from './log-entry.ts';
import { judge, presentAfter } from './present-row.ts';
import { ReceiptWindow } from './receipt-window.ts';
import { RecentKeys } from './recent-keys.ts';
import { planRecovery } from './recovery.ts';
import { outcomeOf } from './testing/outcomes.ts';

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;
const OTHER = 'BBBBBBBBBBBBBBBBBBBBBB' as TopicId;
const offsets = fc.nat({ max: 2 ** 40 });

describe('the commit metadata', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(offsets, fc.option(fc.integer({ min: 1, max: 100_000 })), (offset, size) => {
        const metadata = encodeCommit(TOPIC, offset, size === null ? null : offset + size);
        expect(decodeCommit(metadata, TOPIC, offset)).toEqual(
          size === null ? { kind: 'closed' } : { kind: 'intent', next: offset + size },
        );
        expect(decodeCommit(metadata, OTHER, offset)).toEqual({ kind: 'other_topic' });
        // Left beside an offset that somebody else set.
        expect(decodeCommit(metadata, TOPIC, offset + 1)).toEqual({ kind: 'unknown', why: 'corrupt' });
        expect(Buffer.byteLength(metadata)).toBeLessThan(100);
      }),
    );
  });

  it('is never believed when a character of it changed, whatever it is', () => {
    fc.assert(
      fc.property(offsets, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (offset, at, char) => {
        const metadata = encodeCommit(TOPIC, offset, offset + 10);
        const index = at % metadata.length;
        const changed = metadata.slice(0, index) + char + metadata.slice(index + 1);
        if (changed !== metadata) expect(decodeCommit(changed, TOPIC, offset).kind).toBe('unknown');
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => expect(decodeCommit(text, TOPIC, 5).kind).toBe('unknown')));
  });

  it('of a newer version or of others is told apart for the warning', () => {
    expect(decodeCommit('parley2 x', TOPIC, 5)).toEqual({ kind: 'unknown', why: 'newer' });
    expect(decodeCommit('NoMetadata', TOPIC, 5)).toEqual({ kind: 'unknown', why: 'foreign' });
    expect(decodeCommit('', TOPIC, 5)).toEqual({ kind: 'unknown', why: 'empty' });
  });
});

describe('recovery', () => {
  const intent = (next: number) => ({ kind: 'intent', next }) as const;
  const closed = { kind: 'closed' } as const;
  const wiped = { kind: 'unknown', why: 'empty' } as const;
  const plan = (
    offset: number | null,
    state: Parameters<typeof planRecovery>[0]['committed']['state'],
    last?: [number, number],
    logStart = 0,
  ) =>
    planRecovery({ committed: { offset, state }, lastBegun: last && { from: last[0], to: last[1], seq: 1 }, logStart });

  it.each([
    ['a first start reads from the log’s start', plan(null, wiped), [], 0],
    ['a closed commit goes on', plan(50, closed, [40, 50]), [], 50],
    [
      'blocks without rows leave no trace, so what lies above the last one is read again',
      plan(90, closed, [40, 50]),
      [],
      50,
    ],
    ['a ClickHouse that lost everything is filled again from the log’s start', plan(90, closed, undefined, 7), [], 7],
    ['one of a backup from where it stands', plan(90, intent(95), [40, 50]), [], 50],
    ['retention may have been faster', plan(90, closed, [40, 50], 60), [], 60],
    ['an intent that was not begun', plan(50, intent(60), [40, 50]), [{ from: 50, to: 60, begun: false }], 60],
    ['an intent that was begun', plan(50, intent(60), [50, 60]), [{ from: 50, to: 60, begun: true }], 60],
    ['a reset replays the last block first', plan(0, wiped, [50, 60]), [{ from: 50, to: 60, begun: true }], 0],
    ['a reset forward too', plan(90, wiped, [50, 60]), [{ from: 50, to: 60, begun: true }], 90],
    ['an expired group too', plan(null, wiped, [50, 60], 20), [{ from: 50, to: 60, begun: true }], 20],
    [
      'an intent from a backup goes second',
      plan(10, intent(20), [50, 60]),
      [
        { from: 50, to: 60, begun: true },
        { from: 10, to: 20, begun: false },
      ],
      20,
    ],
    ['a block that retention removed is past help', plan(0, wiped, [50, 60], 70), [], 0],
    ['a namesake topic’s offset counts for nothing', plan(50, { kind: 'other_topic' }, undefined, 3), [], 3],
  ])('%s', (_, { replays, resumeAt }, expectedReplays, expectedResume) => {
    expect({ replays, resumeAt }).toEqual({ replays: expectedReplays, resumeAt: expectedResume });
  });
});

describe('the receipt window', () => {
  it('agrees with a plain set on all that it says it knows', () => {
    const ranges = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 40 })), { maxLength: 60 });
    fc.assert(
      fc.property(fc.nat({ max: 100 }), ranges, (floor, added) => {
        const window = new ReceiptWindow(floor, 64);
        const model = new Set<number>();
        for (const [first, length] of added) {
          window.add(first, first + length);
          for (let offset = first; offset <= first + length; offset++) model.add(offset);
          for (let offset = 0; offset < 500; offset++) {
            const known = window.has(offset);
            if (known === undefined) expect(offset).toBeLessThan(window.floor);
            else expect([offset, known]).toEqual([offset, model.has(offset)]);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('takes a gap of any length in no time', () => {
    const window = new ReceiptWindow(0);
    window.add(5, 2 ** 50);
    expect([window.has(2 ** 50), window.has(2 ** 50 + 1), window.has(5)]).toEqual([true, false, undefined]);
  });
});

const recordOf = (offset: number, size = 100): FetchedRecord => ({
  offset,
  size,
  timestamp: 1_790_000_000_000,
  key: null,
  value: Buffer.alloc(0),
  headers: {},
});
const records = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => recordOf(from + index));

describe('the intake', () => {
  const valve = () => {
    const calls: string[] = [];
    return { calls, pause: () => calls.push('pause'), resume: () => calls.push('resume') };
  };

  it('pauses at its limits, counts a block until it is in, and resumes at half', () => {
    const gate = valve();
    const intake = new Intake(gate, { maxRecords: 10, maxBytes: 1e9 }, new MemoryBudget(1e9), 0, () => 0);
    intake.take(records(0, 10));
    expect(gate.calls).toEqual(['pause']);
    expect(intake.cut(6, 1e9)).toHaveLength(6);
    expect(gate.calls).toEqual(['pause']);
    intake.free();
    expect(gate.calls).toEqual(['pause', 'resume']);
  });

  it('shares a budget with the other partitions', () => {
    const [a, b] = [valve(), valve()];
    const budget = new MemoryBudget(4_000);
    const first = new Intake(a, { maxRecords: 1_000, maxBytes: 1e9 }, budget, 0, () => 0);
    const second = new Intake(b, { maxRecords: 1_000, maxBytes: 1e9 }, budget, 0, () => 0);
    first.take(records(0, 10));
    second.take(records(0, 1));
    expect([a.calls, b.calls]).toEqual([['pause'], ['pause']]);
    first.close();
    expect(b.calls).toEqual(['pause', 'resume']);
    expect(budget.bytes).toBe(400);
  });

  it('never pauses below the end of a block that must be whole', () => {
    const gate = valve();
    const intake = new Intake(gate, { maxRecords: 2, maxBytes: 1e9 }, new MemoryBudget(1), 0, () => 0);
    intake.need(50);
    intake.take(records(0, 49));
    expect(gate.calls).toEqual([]);
    intake.take(records(49, 60));
    expect(gate.calls).toEqual(['pause']);
    expect(intake.cutBelow(50).map(({ offset }) => offset)).toEqual(records(0, 50).map(({ offset }) => offset));
    expect(intake.head).toBe(50);
  });

  it('cuts blocks that give back every record once, in order, and keeps its count of bytes', () => {
    const cuts = fc.array(fc.record({ rows: fc.integer({ min: 1, max: 20 }), bytes: fc.nat(8_000), back: fc.nat(3) }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), cuts, (count, steps) => {
        const budget = new MemoryBudget(1e9);
        const intake = new Intake(valve(), { maxRecords: 1e9, maxBytes: 1e9 }, budget, 0, () => 0);
        intake.take(records(0, count));
        const seen: number[] = [];
        for (const { rows, bytes, back } of steps) {
          const cut = intake.cut(rows, bytes);
          const kept = cut.slice(0, Math.max(1, cut.length - back));
          intake.putBack(cut.slice(kept.length));
          seen.push(...kept.map(({ offset }) => offset));
          intake.free();
        }
        seen.push(...intake.cutBelow(count).map(({ offset }) => offset));
        intake.free();
        expect(seen).toEqual(records(0, count).map(({ offset }) => offset));
        expect([intake.bytes, budget.bytes, intake.oldestAtMs]).toEqual([0, 0, undefined]);
      }),
    );
  });
});

describe('the cadence', () => {
  it('lets blocks grow older as inserting gets dearer, within its limits', () => {
    const cadence = new Cadence({ minAgeMs: 500, maxAgeMs: 1_500 }, () => 12);
    expect(cadence.ageMs).toBe(500);
    cadence.observe(20);
    expect(cadence.ageMs).toBe(960);
    for (let i = 0; i < 100; i++) cadence.observe(500);
    expect(cadence.ageMs).toBe(1_500);
  });
});

describe('a row', () => {
  const place = { block: { topicId: TOPIC, partition: 3, from: 10, to: 20 }, offset: 12 };
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
});

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

describe('reading the log', () => {
  const reader = (decode: () => ReturnType<typeof outcomeOf>) =>
    new BlockReader(() => ({ ok: true, value: decode() }), { topic: 'chat.enriched', topicId: TOPIC, partition: 0 });

  it('ends a block before it touches too many months', async () => {
    let month = 0;
    const at = () => Date.UTC(2020, month++, 10);
    const read = reader(() => {
      const time = at();
      return outcomeOf({ partition: 0, offset: month, sent_at: time, enriched_at: time });
    });
    expect(await read.read(records(0, 100))).toHaveLength(40);
  });

  it('refuses an outcome of another partition’s source, and counts nothing for it', () => {
    const outcome = outcomeOf({ partition: 7, offset: 1 });
    const record = { ...recordOf(3), headers: headersOf(outcome) };
    const entry = toLogEntry(record, { ok: true, value: outcome }, 0);
    expect(entry).toMatchObject({
      kind: 'undecodable',
      standIn: undefined,
      detail: 'the source is of partition 7, not 0',
    });
  });

  it('lets headers and key stand in for bytes that cannot be decoded', () => {
    const outcome = outcomeOf({ partition: 0, offset: 9 });
    const record = { ...recordOf(3), key: Buffer.from('["t","b","c"]'), headers: headersOf(outcome) };
    const broken = { ok: false, reason: 'undecodable', detail: 'x' } as const;
    expect(toLogEntry(record, broken, 0)).toMatchObject({
      standIn: { message_id: 'm-0-9', tenant_id: 't', bot_id: 'b', conversation_id: 'c', outcome: 'dead_lettered' },
    });
    const anonymous = toLogEntry({ ...record, key: Buffer.from('t') }, broken, 0);
    expect(anonymous).toMatchObject({ standIn: { message_id: `dead:${outcome.source.topic_id}:0:9`, tenant_id: '' } });
    expect(toLogEntry({ ...record, headers: {} }, broken, 0)).toMatchObject({ standIn: undefined });
  });

  it('takes no early answer for an outcome, decoded or not', () => {
    const outcome = outcomeOf({ partition: 0, offset: 9, outcome: 'degraded', provisional: true });
    const record = { ...recordOf(3), key: Buffer.from('["t","b","c"]'), headers: headersOf(outcome) };
    expect(toLogEntry(record, { ok: true, value: outcome }, 0)).toEqual({ kind: 'provisional', offset: 3 });
    const broken = { ok: false, reason: 'undecodable', detail: 'x' } as const;
    expect(toLogEntry(record, broken, 0)).toMatchObject({ kind: 'undecodable', standIn: undefined });
  });

  const headersOf = (outcome: ReturnType<typeof outcomeOf>) =>
    Object.fromEntries(Object.entries(outcomeHeaders(outcome)).map(([name, value]) => [name, Buffer.from(value)]));
});

describe('recent keys', () => {
  it('remember every key for at least the window, and forget in the end', () => {
    const clock = new ManualClock();
    const keys = new RecentKeys(clock, 1_000);
    const hashes = Array.from({ length: 5_000 }, (_, index) => Math.imul(index, 0x85ebca6b) >>> 0);
    for (const hash of hashes) keys.add(hash);
    clock.advance(1_000);
    keys.add(1);
    expect(hashes.every((hash) => keys.mayHave(hash))).toBe(true);
    expect(keys.mayHave(2)).toBe(false);
    clock.advance(1_000);
    keys.add(3);
    expect(hashes.some((hash) => keys.mayHave(hash))).toBe(false);
    expect([keys.mayHave(1), keys.mayHave(3)]).toEqual([true, true]);
  });
});
