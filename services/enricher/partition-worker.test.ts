import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from '../core/brands.ts';
import { decodeLedger, encodeLedger } from '../core/ledger-metadata.ts';
import { LEDGER_SPAN, OffsetLedger } from '../core/offset-ledger.ts';
import type { Claim, OffsetAndMetadata } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { Metrics } from '../platform/metrics.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import { readEnricherConfig } from './config.ts';
import { Enricher } from './enricher.ts';
import { faultOf, MAX_TEXT_CHARS } from './event-check.ts';
import { enricherMetrics } from './metrics.ts';
import { deadLettered, gap } from './outcomes.ts';
import { type Job, offsetOf, PartitionWorker } from './partition-worker.ts';
import type { RecordProcessor } from './record-processor.ts';

const TOPIC_ID = 'dgoboNlSR7q7_iKvHit0vg' as TopicId;
const record = (offset: number): FetchedRecord => ({
  offset,
  timestamp: 1,
  key: null,
  value: null,
  headers: {},
  size: 100,
});

/** A claim whose commits a test can read. */
function claimOf(logStart = 0, committedOffset: number | null = 0) {
  const commits: OffsetAndMetadata[] = [];
  const seeks: number[] = [];
  let paused = false;
  const claim = {
    topic: 'chat.events',
    partition: 0,
    topicId: TOPIC_ID,
    logStart,
    logEnd: 1_000,
    highWatermark: 1_000,
    seek: (offset: number) => void seeks.push(offset),
    committed: { offset: committedOffset, metadata: '' },
    active: true,
    pause: () => {
      paused = true;
    },
    resume: () => {
      paused = false;
    },
    commit: async (snapshot: () => OffsetAndMetadata) => void commits.push(snapshot()),
  } satisfies Claim;
  return { claim, commits, seeks, paused: () => paused };
}

/** A partition whose jobs a test starts, all that are on offer at a time. */
function workerOf({
  watermark = 0,
  completed = [] as number[],
  logStart = 0,
  committed = watermark as number | null,
} = {}) {
  const { claim, commits, seeks, paused } = claimOf(logStart, committed);
  let offered: Job[] = [];
  const worker = new PartitionWorker(claim, new OffsetLedger(watermark, completed), {
    offer: (_, job) => void offered.push(job),
    ended: () => {},
    failed: () => {},
    skipped: () => {},
    settling: () => {},
    kept: () => {},
    released: () => {
      offered = [];
    },
  });
  worker.begin();
  const startAll = (nowMs = 0): Job[] => {
    for (const job of offered) worker.started(job, nowMs);
    return offered.splice(0);
  };
  return { worker, claim, commits, paused, startAll, seeks };
}

describe('PartitionWorker', () => {
  it('commits the watermark with the set above it, and nothing when nothing was completed', async () => {
    const { worker, commits, startAll } = workerOf();
    worker.take([0, 1, 2, 3].map(record));
    startAll();
    await worker.commit();
    expect(commits).toEqual([]);
    for (const offset of [0, 2, 3]) worker.complete(offset);
    await worker.commit();
    await worker.commit();
    expect(commits).toHaveLength(1);
    expect(commits[0]?.offset).toBe(1);
    expect(decodeLedger(commits[0]?.metadata ?? '', TOPIC_ID, 1).completed).toEqual([2, 3]);
  });

  it('knows since when its oldest unfinished job has been running, and waits for the last one when it settles', async () => {
    const { worker, startAll } = workerOf();
    worker.take([record(0)]);
    const [first] = startAll(10) as [Job];
    worker.take([record(1)]);
    const [second] = startAll(20) as [Job];
    expect(worker.oldestStartedAtMs).toBe(10);
    worker.ended(first);
    expect(worker.oldestStartedAtMs).toBe(20);
    let settled = false;
    const settling = worker.settle(60_000).then(() => {
      settled = true;
    });
    await new Promise(setImmediate);
    expect(settled).toBe(false);
    worker.ended(second);
    await settling;
    expect(worker.oldestStartedAtMs).toBeUndefined();
  });

  it('leaves to its successor exactly what was not complete, whatever was committed', () => {
    const scenario = fc.record({
      count: fc.integer({ min: 1, max: 200 }),
      done: fc.array(fc.nat(199), { maxLength: 200 }),
    });
    return fc.assert(
      fc.asyncProperty(scenario, async ({ count, done }) => {
        const first = workerOf();
        first.worker.take(Array.from({ length: count }, (_, offset) => record(offset)));
        first.startAll();
        const completed = new Set(done.filter((offset) => offset < count));
        for (const offset of completed) first.worker.complete(offset);
        await first.worker.commit();
        const { offset: watermark, metadata } = first.commits[0] ?? { offset: 0, metadata: '' };
        const second = workerOf({ watermark, completed: [...decodeLedger(metadata, TOPIC_ID, watermark).completed] });
        second.worker.take(Array.from({ length: count - watermark }, (_, n) => record(watermark + n)));
        const again = second.startAll().map((job) => (job.kind === 'record' ? job.record.offset : -1));
        expect(again).toEqual(Array.from({ length: count }, (_, n) => n).filter((offset) => !completed.has(offset)));
      }),
    );
  });

  it('makes a gap of what lies between its watermark and the log’s start, before any record comes', () => {
    const { worker, startAll } = workerOf({ watermark: 10, logStart: 25 });
    expect(worker.startAt).toBe(25);
    expect(startAll()).toMatchObject([{ kind: 'gap', first: 10, last: 24 }]);
  });

  it('makes a gap of what delete-records took while it read, in its place among the records', () => {
    const { worker, startAll } = workerOf();
    worker.take([record(0)]);
    worker.cutTo(3);
    worker.take([record(3)]);
    expect(startAll()).toMatchObject([{ kind: 'record' }, { kind: 'gap', first: 1, last: 2 }, { kind: 'record' }]);
  });

  it('takes a jump within the log for offsets without a record: nothing is lost, and the watermark passes them', async () => {
    const { worker, startAll, commits } = workerOf();
    worker.take([record(0), record(4)]);
    worker.readTo(6);
    const jobs = startAll();
    expect(jobs).toMatchObject([{ kind: 'record' }, { kind: 'record' }]);
    for (const offset of [4, 0]) worker.complete(offset);
    await worker.commit();
    expect(commits.at(-1)?.offset).toBe(6);
  });

  it('commits where an idle partition stands, so that its lag is known', async () => {
    const { worker, commits } = workerOf({ watermark: 7, logStart: 7, committed: null });
    await worker.commit();
    await worker.commit();
    expect(commits.map(({ offset }) => offset)).toEqual([7]);
  });

  it.each([
    ['the NLP API that does not answer', { running: true, commitHangs: false }],
    ['Kafka that does not take the commit', { running: false, commitHangs: true }],
    ['both', { running: true, commitHangs: true }],
  ])('settles within its bound whatever waits for %s', async (_what, { running, commitHangs }) => {
    jest.useFakeTimers();
    try {
      const { worker, claim, startAll } = workerOf();
      if (commitHangs) Object.assign(claim, { commit: () => new Promise<never>(() => undefined) });
      worker.take([record(0), record(1)]);
      const [first, second] = startAll() as [Job, Job];
      worker.ended(first);
      worker.complete(0);
      if (!running) worker.ended(second);
      void worker.commit();
      let settled = false;
      void worker.settle(1_000).then(() => {
        settled = true;
      });
      await jest.advanceTimersByTimeAsync(1_001);
      expect(settled).toBe(true);
    } finally {
      jest.useRealTimers();
    }
  });

  it('completes nothing for a claim that was lost', async () => {
    const { worker, claim, commits, startAll } = workerOf();
    worker.take([record(0)]);
    startAll();
    Object.assign(claim, { active: false });
    worker.complete(0);
    await worker.commit();
    expect(commits).toEqual([]);
  });

  it('hands back what lies beyond the span, alone pauses its own partition, and goes on once a quarter of the span is free', () => {
    const { worker, startAll, paused, seeks } = workerOf();
    const records = (from: number, count: number) => Array.from({ length: count }, (_, n) => record(from + n));
    worker.take(records(0, LEDGER_SPAN + 300));
    expect(startAll()).toHaveLength(LEDGER_SPAN);
    expect([paused(), seeks]).toEqual([true, [LEDGER_SPAN]]);
    // What was read behind a record that was handed back does not count.
    worker.readTo(LEDGER_SPAN + 300);
    // One slow record holds the watermark: all above it may be done and nothing more is fetched.
    for (let offset = 1; offset < LEDGER_SPAN; offset++) worker.complete(offset);
    expect(paused()).toBe(true);
    worker.complete(0);
    expect(paused()).toBe(false);
    worker.take(records(LEDGER_SPAN, 300));
    expect(startAll()).toHaveLength(300);
    // The instance's own pause is another matter: it ends when the instance says so.
    worker.setIntakePaused(true);
    worker.take(records(LEDGER_SPAN + 300, 2));
    expect([startAll(), paused(), seeks.at(-1)]).toEqual([[], true, LEDGER_SPAN + 300]);
    worker.setIntakePaused(false);
    expect(paused()).toBe(false);
  });

  it('goes on after a gap larger than the span, which comes while the span is full', () => {
    const { worker, startAll, paused } = workerOf();
    worker.take(Array.from({ length: LEDGER_SPAN + 1 }, (_, offset) => record(offset)));
    const jobs = startAll();
    worker.cutTo(5 * LEDGER_SPAN);
    jobs.push(...startAll());
    expect(jobs.at(-1)).toMatchObject({ kind: 'gap', first: LEDGER_SPAN, last: 5 * LEDGER_SPAN - 1 });
    for (const job of jobs) worker.complete(offsetOf(job));
    expect(paused()).toBe(false);
    worker.take([record(5 * LEDGER_SPAN)]);
    expect(startAll()).toHaveLength(1);
  });
});

describe('the enricher’s assignment', () => {
  const OTHER_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;
  const metrics = enricherMetrics(new Metrics('test'));
  const log = testLog();
  const options = {
    maxInFlight: 1,
    replayTopic: 'chat.replay',
    commitIntervalMs: 100,
    maxReplayInFlight: 1,
    room: () => 0,
    metrics,
    log,
  };
  const processor = undefined as unknown as RecordProcessor;

  it.each([
    ['its own commit', TOPIC_ID, 7],
    ['a commit for a topic of this name that was deleted since', OTHER_TOPIC_ID, 2],
  ])('after %s reads on where nothing is skipped', async (_what, owner, startAt) => {
    const enricher = new Enricher({ ...options, processor });
    const { claim } = claimOf(2);
    const committed = { offset: 7, metadata: encodeLedger(new OffsetLedger(7), owner) };
    expect((await enricher.assign({ ...claim, committed })).startAt).toBe(startAt);
    enricher.stop();
  });
});

describe('the configuration', () => {
  it('refuses a breaker that would half-open before calls of before its opening have timed out', () => {
    expect(readEnricherConfig({}).NLP_TIMEOUT_MS).toBe(2_000);
    expect(() => readEnricherConfig({ NLP_TIMEOUT_MS: '5000' })).toThrow(
      'NLP_HALF_OPEN_AFTER_MS is "5000"; allowed is more than NLP_TIMEOUT_MS, 5000',
    );
  });
});

describe('the time to settle', () => {
  it('has to end before the session does, since no heartbeat goes out meanwhile', () => {
    expect(readEnricherConfig({ GROUP_SESSION_TIMEOUT_MS: '30000', GROUP_SETTLE_MS: '15000' }).GROUP_SETTLE_MS).toBe(
      15_000,
    );
    expect(() => readEnricherConfig({ GROUP_SETTLE_MS: '6000' })).toThrow(
      'GROUP_SETTLE_MS is "6000"; allowed is less than GROUP_SESSION_TIMEOUT_MS, 6000',
    );
  });
});

describe('faultOf', () => {
  const replayed = { origin: { topic_id: TOPIC_ID, topic: 't', partition: 0, offset: 0 }, supersedes: 0 };

  it('finds nothing wrong with what the gateway or a replay produces', () => {
    expect(faultOf(sampleEvent(), false)).toBeUndefined();
    expect(faultOf(sampleEvent({ text: '' }), false)).toBeUndefined();
    expect(faultOf(sampleEvent(replayed), true)).toBeUndefined();
  });

  it.each([
    ['message_id', { message_id: '' }, false],
    ['conversation_id', { conversation_id: 'x'.repeat(513) }, false],
    ['text', { text: 'x'.repeat(MAX_TEXT_CHARS + 1) }, false],
    ['speaker', { speaker: 'ghost' }, false],
    ['sent_at', { sent_at: 1_790_000_000 }, false],
    ['received_at', { received_at: Number.NaN }, false],
    ['metadata', { metadata: new Map([['k', 'x'.repeat(70_000)]]) }, false],
    ['supersedes', { supersedes: 1 }, false],
    ['origin', {}, true],
  ] as const)('names %s', (field, change, isReplay) => {
    expect(faultOf(sampleEvent(change as object), isReplay)).toMatch(new RegExp(`\\b${field}\\b`));
  });
});

describe('outcomes', () => {
  const source = { topic_id: TOPIC_ID, topic: 'chat.events', partition: 3, offset: 9 };
  const facts = { attempts: 0, enrichedAt: 1_790_000_000_000 as never, reason: 'invalid' } as const;

  it('a dead-lettered event is cut to what ClickHouse can take, whatever was in it', () => {
    const wild = sampleEvent({
      message_id: 'x'.repeat(9_000),
      text: `${'y'.repeat(8_191)}\ud83d\ude00`,
      sent_at: -5,
      received_at: Number.MAX_SAFE_INTEGER,
      metadata: new Map(Array.from({ length: 100 }, (_, n) => [`k${n}`, 'v'.repeat(9_000)])),
      supersedes: 3,
    });
    const outcome = deadLettered(source, { ...record(9), timestamp: 1_780_000_000_000 }, wild, facts);
    expect(outcome.message_id).toHaveLength(512);
    expect(outcome.text).toHaveLength(8_192);
    expect(outcome.text.isWellFormed()).toBe(true);
    expect([outcome.sent_at, outcome.received_at]).toEqual([1_780_000_000_000, 1_780_000_000_000]);
    expect(outcome.metadata.size).toBe(64);
    expect([outcome.revision, outcome.supersedes]).toEqual([0, null]);
  });

  it('an undecodable record gets an id of its own; a gap its range', () => {
    const dead = deadLettered(source, { ...record(9), timestamp: -1 }, undefined, facts);
    expect(dead).toMatchObject({ message_id: `dead:${TOPIC_ID}:3:9`, tenant_id: '', sent_at: facts.enrichedAt });
    expect(gap(source, 20, facts.enrichedAt)).toMatchObject({ outcome: 'gap', source, last_offset: 20 });
  });
});
