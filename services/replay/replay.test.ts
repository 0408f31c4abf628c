import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { epochMs, type TopicId } from '../core/brands.ts';
import { systemClock } from '../core/clock.ts';
import type { ChatEvent, Coordinates } from '../core/records.ts';
import type { DLQ_REASONS } from '../core/wire-codes.ts';
import { MAX_REPLAYS } from '../core/wire-codes.ts';
import { deadLetter } from '../platform/kafka/produce/dead-letter.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { ownHeaders, readDeadLetter } from './dead-letter-record.ts';
import type { ReadLetter } from './dead-letters.ts';
import { LetterSummary } from './letter-summary.ts';
import { isFailure, judgeLetter, type LetterRow, type LetterState } from './plan.ts';
import { matchesEvent, matchesLetter, type Selection } from './selection.ts';
import { Tally } from './tally.ts';

const stateOf = (row: LetterRow | undefined, isErased = false): LetterState => ({ row, isErased });
const RUN = { id: 'run', replayTopic: 'chat.replay' };
const EVENTS: Coordinates = { topic: 'chat.events', topic_id: 'A'.repeat(22) as TopicId, partition: 3, offset: 41 };

const fetched = (over: Partial<FetchedRecord> = {}): FetchedRecord => ({
  offset: 7,
  timestamp: 1_790_000_000_000,
  key: Buffer.from('key'),
  value: Buffer.from('value'),
  headers: {},
  size: 8,
  ...over,
});

interface Making {
  readonly reason?: (typeof DLQ_REASONS)[number];
  readonly failedAt?: number;
  readonly at?: Coordinates;
  readonly own?: FetchedRecord['headers'];
  readonly event?: Partial<ChatEvent> | null;
}

/** What the enricher writes, read back. */
function letterOf({
  reason = 'nlp_rejected',
  failedAt = 5_000,
  at = EVENTS,
  own = {},
  event = {},
}: Making = {}): ReadLetter {
  const failed = fetched({ headers: own });
  const facts = { reason, detail: 'why', attempts: 2, firstFailedAt: epochMs(4_000), failedAt: epochMs(failedAt) };
  const { headers = {}, value } = deadLetter('chat.dlq', failed, at, { ...facts, service: 'enricher' });
  const asFetched = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]);
  const letter = readDeadLetter(at.partition, fetched({ value, headers: Object.fromEntries(asFetched) }));
  return { letter, event: event && sampleEvent(event), problem: null };
}

describe('a dead letter', () => {
  it('is read as it was written, its own headers apart', () => {
    const { letter } = letterOf({ own: { traceparent: Buffer.from('tp') } });
    expect(letter).toMatchObject({
      partition: 3,
      offset: 7,
      reason: 'nlp_rejected',
      detail: 'why',
      attempts: 2,
      firstFailedAt: 4_000,
      failedAt: 5_000,
      service: 'enricher',
      failedRecord: EVENTS,
      stub: null,
    });
    expect(ownHeaders(letter)).toEqual({ traceparent: Buffer.from('tp') });
  });

  it('is unknown, and never an error, whatever foreign headers say', () => {
    const header = fc.oneof(fc.constant(undefined), fc.uint8Array().map(Buffer.from), fc.string().map(Buffer.from));
    const names = ['dlq-failed-at', 'dlq-attempts', 'dlq-origin-topic', 'dlq-origin-partition', 'dlq-stub-length'];
    const headers = fc.record(Object.fromEntries(names.map((name) => [name, header])));
    fc.assert(
      fc.property(headers, (foreign) => {
        const letter = readDeadLetter(0, fetched({ headers: { ...foreign, 'dlq-reason': Buffer.from('sunspots') } }));
        expect(letter).toMatchObject({ reason: 'unknown', failedRecord: null });
        expect(Number.isSafeInteger(letter.failedAt)).toBe(true);
        expect(judgeLetter({ letter, event: sampleEvent(), problem: null }, stateOf(undefined), RUN)).toEqual({
          kind: 'skip',
          why: 'no_origin',
        });
      }),
    );
  });
});

describe('a selection', () => {
  const matches = (selection: Selection, read: ReadLetter) =>
    matchesLetter(selection, read.letter) && matchesEvent(selection, read.event);

  it.each<[string, Selection, boolean]>([
    ['nothing asked', {}, true],
    ['one of the reasons', { reasons: ['invalid', 'nlp_rejected'] }, true],
    ['another reason', { reasons: ['invalid'] }, false],
    ['from, inclusive', { from: epochMs(5_000) }, true],
    ['from, later', { from: epochMs(5_001) }, false],
    ['to, exclusive', { to: epochMs(5_000) }, false],
    ['to, later', { to: epochMs(5_001) }, true],
    ['the partition', { partition: 3 }, true],
    ['another partition', { partition: 2 }, false],
    ['the offsets, inclusive', { partition: 3, offsets: { first: 1, last: 7 } }, true],
    ['offsets before', { partition: 3, offsets: { first: 1, last: 6 } }, false],
    ['tenant, bot and conversation', { tenant: 'acme', bot: 'helper', conversation: 'c1' }, true],
    ['another tenant', { tenant: 'acm', bot: 'helper' }, false],
    ['another bot', { bot: 'help' }, false],
    ['another conversation', { conversation: 'c2' }, false],
  ])('%s', (_, selection, expected) => {
    expect(matches(selection, letterOf())).toBe(expected);
  });

  it('by bot leaves out what does not decode', () => {
    expect(matches({ bot: 'helper' }, letterOf({ event: null }))).toBe(false);
    expect(matches({}, letterOf({ event: null }))).toBe(true);
  });
});

describe('the plan', () => {
  const why = (read: ReadLetter, present?: LetterRow) => {
    const verdict = judgeLetter(read, stateOf(present), RUN);
    return verdict.kind === 'skip' ? verdict.why : 'replay';
  };
  const dead = (revision: number): LetterRow => ({ outcome: 'dead_lettered', revision });
  const onReplay: Coordinates = { ...EVENTS, topic: 'chat.replay', offset: 0 };
  const replayed = (attempt: number) =>
    letterOf({ at: onReplay, event: { origin: EVENTS, supersedes: attempt - 1, replay_attempt: attempt } });

  it('replaces the row that the letter came with, under the same identity', () => {
    const first = judgeLetter(letterOf(), stateOf(dead(0)), RUN);
    expect(first).toMatchObject({
      kind: 'replay',
      event: { message_id: 'm1', origin: EVENTS, supersedes: 0, replay_id: 'run', replay_attempt: 1 },
    });
    expect(judgeLetter(replayed(1), stateOf(dead(1)), RUN)).toMatchObject({
      event: { origin: EVENTS, supersedes: 1, replay_attempt: 2 },
    });
  });

  it('says why it leaves a letter alone', () => {
    const stub = letterOf();
    expect(why(letterOf({ event: null }))).toBe('undecodable');
    expect(why({ ...stub, letter: { ...stub.letter, stub: { sha256: 'x', length: 1 } } })).toBe('stub');
    expect(why(letterOf({ reason: 'outcome_undecodable' }))).toBe('not_an_event');
    expect(why(letterOf({ at: onReplay, event: { origin: null } }))).toBe('no_origin');
    expect(why(replayed(MAX_REPLAYS), dead(MAX_REPLAYS))).toBe('replay_exhausted');
    expect(why(letterOf({ reason: 'replay_exhausted' }))).toBe('replay_exhausted');
    expect(why(letterOf(), { outcome: 'enriched', revision: 1 })).toBe('already_repaired');
    expect(why(letterOf(), dead(1))).toBe('newer_letter');
    expect(judgeLetter(letterOf(), stateOf(dead(0), true), RUN)).toEqual({ kind: 'skip', why: 'erased' });
  });

  it('replays what the sink has not got to yet, and what is degraded', () => {
    expect(why(letterOf(), undefined)).toBe('replay');
    expect(why(replayed(1), dead(0))).toBe('replay');
    expect(why(letterOf(), { outcome: 'degraded', revision: 0 })).toBe('replay');
  });

  it('asks for a revision above every row that it may meet, and never for one that skips another', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), fc.nat(MAX_REPLAYS), (own, revision, attempt) => {
        const read = letterOf({ event: { origin: EVENTS, supersedes: own - 1, replay_attempt: attempt } });
        const verdict = judgeLetter(read, stateOf(dead(revision)), RUN);
        if (verdict.kind === 'skip') return;
        expect(verdict.event.supersedes).toBe(own);
        expect(revision).toBeLessThanOrEqual(own);
        expect(verdict.event.replay_attempt).toBeLessThanOrEqual(MAX_REPLAYS);
      }),
    );
  });

  it('is counted by reason and bot; what needs nothing is no failure', () => {
    const tally = new Tally();
    const add = (read: ReadLetter, present?: LetterRow) => tally.add(read, judgeLetter(read, stateOf(present), RUN));
    add(letterOf());
    add(letterOf({ event: { bot_id: 'other' } }), { outcome: 'enriched', revision: 1 });
    add(letterOf({ reason: 'undecodable', event: null }));
    expect(tally.counts()).toEqual({
      selected: 3,
      replay: 1,
      skipped: { already_repaired: 1, undecodable: 1 },
      not_replayable: 1,
      by_reason: [
        { reason: 'nlp_rejected', selected: 2, replay: 1 },
        { reason: 'undecodable', selected: 1, replay: 0 },
      ],
      by_bot: [
        { tenant_id: 'acme', bot_id: 'helper', selected: 1, replay: 1 },
        { tenant_id: 'acme', bot_id: 'other', selected: 1, replay: 0 },
        { tenant_id: '', bot_id: '', selected: 1, replay: 0 },
      ],
    });
    expect([isFailure('newer_letter'), isFailure('stub')]).toEqual([false, true]);
  });
});

it('a summary knows the first, the last and where to look', () => {
  const summary = new LetterSummary();
  for (const failedAt of [3_000, 9_000, 5_000]) summary.add(letterOf({ failedAt }));
  summary.add(letterOf({ reason: 'invalid', failedAt: systemClock.now() }));
  expect(summary.total).toBe(4);
  expect(summary.byReason()[0]).toEqual({
    reason: 'nlp_rejected',
    count: 3,
    first_failed_at: 3_000,
    last_failed_at: 9_000,
    latest: '3/7',
  });
  expect(summary.byBot().map(({ bot_id, count }) => [bot_id, count])).toEqual([
    ['helper', 3],
    ['helper', 1],
  ]);
});
