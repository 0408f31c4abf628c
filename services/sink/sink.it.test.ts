import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../core/clock.ts';
import { outcomePartition } from '../core/outcome-partition.ts';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import type { outcomeHeaders } from '../platform/record-headers.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { FactStore } from './fact-store.ts';
import { factRow } from './ingest-row.ts';
import { encodeCommit } from './intent.ts';
import { outcomeOf, REPLAY_ID } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const PARTITIONS = 4;
/** Partitions of chat.enriched: what partitions 1 and 3 send shares one, for instance. */
const OUTCOME_PARTITIONS = 2;
const names = isolation('sink');
const env = { ...names, TOPIC_PARTITIONS: String(PARTITIONS), SINK_SESSION_TIMEOUT_MS: '6000' };
const expected = new Set<string>();
/** Next offset of each partition of chat.events. */
const nextOffset = new Array<number>(PARTITIONS).fill(0);
let world: SinkWorld;
const firstSeed = Date.now() >>> 0;
let seed = firstSeed;

const random = (): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
};

const takeOffset = (partition: number): number => {
  const offset = nextOffset[partition] ?? 0;
  nextOffset[partition] = offset + 1;
  return offset;
};

/** So many new messages over all partitions. */
const newOutcomes = (count: number) =>
  Array.from({ length: count }, (_, index) => {
    const partition = index % PARTITIONS;
    const outcome = outcomeOf({ partition, offset: takeOffset(partition) });
    expected.add(outcome.message_id);
    return outcome;
  });

const startSink = async (more: Record<string, string> = {}): Promise<ServiceHandle> => {
  const sink = await spawnService('sink', { ...env, ...more });
  await sink.ready();
  return sink;
};

beforeAll(async () => {
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  world = await SinkWorld.create({
    kafkaBrokers,
    registryUrl,
    clickhouseUrl,
    prefix,
    database,
    partitions: PARTITIONS,
    enrichedPartitions: OUTCOME_PARTITIONS,
  });
});

// A sink that a failed test leaves behind would hold the group against all others.
afterEach(stopServices);

afterAll(async () => {
  await world.close();
});

describe('the sink', () => {
  it('stores every outcome once, says what it did, and drains', async () => {
    const sink = await startSink();
    await world.produce(newOutcomes(5_000));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    expect(await world.count('receipts', "outcome = 'enriched'")).toBe(5_000);
    const ready = (await (await fetch(`${sink.adminUrl}/readyz`)).json()) as { dependencies: object };
    expect(Object.keys(ready.dependencies).sort()).toEqual(['clickhouse', 'kafka', 'records', 'registry']);
    const metrics = await (await fetch(`${sink.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/parley_sink_rows_total\{service="sink"\} 5000/);
    await world.produce(newOutcomes(200));
    expect(await sink.kill()).toEqual({ code: 0, signal: null });
  }, 120_000);

  it('loses and doubles nothing when it is killed again and again at any moment', async () => {
    const producing = (async () => {
      for (let batch = 0; batch < 40; batch++) await world.produce(newOutcomes(250));
    })();
    for (let kill = 0; kill < 6; kill++) {
      const sink = await startSink({ SINK_MIN_AGE_MS: '50', SINK_BLOCK_ROWS: '300' });
      const rows = await world.count('messages');
      await eventually(async () => {
        const arrived = (await world.count('messages')) - rows;
        if (arrived < random() * 1_500 && !(await world.isCaughtUp())) throw new Error('too early');
      });
      await sink.kill('SIGKILL');
    }
    await producing;
    const sink = await startSink();
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected).catch((cause: Error) => {
      throw new Error(`seed ${firstSeed}: ${cause.message}`, { cause });
    });
    await sink.kill();
  }, 240_000);

  it('changes nothing when a stopped sink wakes after another took its partitions', async () => {
    const zombie = await startSink({ SINK_MIN_AGE_MS: '50', SINK_BLOCK_ROWS: '200' });
    const producing = (async () => {
      for (let batch = 0; batch < 30; batch++) await world.produce(newOutcomes(200));
    })();
    const before = expected.size;
    await eventually(async () => expect(await world.count('messages')).toBeGreaterThan(before - 200));
    zombie.signal('SIGSTOP');
    const heir = await startSink();
    await producing;
    await world.caughtUp(90_000);
    zombie.signal('SIGCONT');
    await world.produce(newOutcomes(400));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    await Promise.all([zombie.kill(), heir.kill()]);
  }, 240_000);

  it('changes nothing when its offsets are reset to the earliest', async () => {
    const facts = await world.count('messages FINAL');
    await world.resetToEarliest(OUTCOME_PARTITIONS);
    const sink = await startSink();
    await world.caughtUp();
    await world.produce(newOutcomes(100));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    expect(await world.count('messages FINAL')).toBe(facts + 100);
    expect(sink.logs()).toContain('a block is inserted again');
    await sink.kill();
  }, 120_000);

  it.each([
    ['begun', ['ingest_to_rollup_sums', 'ingest_to_receipts']],
    ['begun', ['ingest_to_messages', 'ingest_to_message_keys', 'ingest_to_rollup_conversations']],
    ['not begun', []],
  ] as const)(
    'completes the block of an intent that a dead sink left: %s, without %j',
    async (state, views) => {
      const source = 3;
      const partition = outcomePartition(source, OUTCOME_PARTITIONS);
      const { topicId, ends } = await world.logEnds();
      const [from, to] = [ends.get(partition) ?? 0, (ends.get(partition) ?? 0) + 150];
      const outcomes = Array.from({ length: 400 }, () => outcomeOf({ partition: source, offset: takeOffset(source) }));
      for (const { message_id } of outcomes) expected.add(message_id);
      await world.produce(outcomes);
      const block = { topicId, partition, from, to };
      const store = new FactStore(world.clickhouse, systemClock);
      await world.commit(partition, from, encodeCommit(topicId, from, to, OUTCOME_PARTITIONS));
      if (state === 'begun') {
        await store.begin({ ...block, seq: 1_000_000 + from, layout: OUTCOME_PARTITIONS }, 150);
        for (const view of views) await world.clickhouse.command(`DETACH TABLE ${view}`);
        await store.ingest(
          block,
          outcomes
            .slice(0, 150)
            .map((outcome, index) => factRow(outcome, { block, offset: from + index, isLegacy: false })),
        );
        for (const view of views) await world.clickhouse.command(`ATTACH TABLE ${view}`);
      }
      const sink = await startSink();
      await world.caughtUp();
      await expectExactlyOnce(world.clickhouse, expected);
      await sink.kill();
    },
    120_000,
  );

  it('takes one source once, and one message once from several sources', async () => {
    const sink = await startSink();
    const [first, second, third] = newOutcomes(3) as [never, never, ReturnType<typeof outcomeOf>];
    const { partition } = third.source;
    const { message_id, tenant_id, bot_id, conversation_id } = third;
    const resend = (): ReturnType<typeof outcomeOf> =>
      outcomeOf({ partition, offset: takeOffset(partition), message_id, tenant_id, bot_id, conversation_id });
    const duplicates = () => world.count('receipts', "outcome = 'duplicate'");
    const hourAgo = Date.now() - 3_600_000;
    const times = { sent_at: hourAgo, received_at: hourAgo, enriched_at: hourAgo };
    const old = outcomeOf({ partition, offset: takeOffset(partition), ...times });
    expected.add(old.message_id);
    await world.produce([first, second, third, old]);
    await world.produce([first, third, resend()]);
    await world.caughtUp();
    await world.produce([resend(), first]);
    await world.caughtUp();
    await sink.kill();
    expect(await duplicates()).toBe(2);
    // The next sink knows the recent keys from ClickHouse; with a window that has passed, a flag makes it look.
    const heir = await startSink();
    await world.produce([resend()]);
    await world.caughtUp();
    await heir.kill();
    expect(await duplicates()).toBe(3);
    const late = await startSink({ SINK_DUPLICATE_WINDOW_MS: '1000' });
    const oldKey = { ...old, source: resend().source };
    await world.produce([{ ...oldKey, recheck: true }]);
    // A bot that was restarted says of nothing that it is a resend; when it was sent says it.
    await world.produce([{ ...oldKey, source: resend().source, received_at: Date.now() }]);
    await world.caughtUp();
    await late.kill();
    expect(await duplicates()).toBe(5);
    await expectExactlyOnce(world.clickhouse, expected);
  }, 120_000);

  it('replaces a dead-lettered row by its replay, once, and takes the old one out of the rollups', async () => {
    const sink = await startSink();
    const partition = 1;
    const offset = takeOffset(partition);
    const dead = outcomeOf({ partition, offset, outcome: 'dead_lettered', reason: 'nlp_exhausted', insight: null });
    expected.add(dead.message_id);
    await world.produce([dead]);
    await world.caughtUp();
    const again = { partition, topicId: REPLAY_ID, originOffset: offset, revision: 1, supersedes: 0 };
    const { tenant_id, bot_id, conversation_id } = dead;
    const fresh = { ...again, tenant_id, bot_id, conversation_id };
    await world.produce([outcomeOf({ ...fresh, offset: 0 }), outcomeOf({ ...fresh, offset: 1 })]);
    await world.produce([outcomeOf({ ...fresh, offset: 2, revision: 2, supersedes: 1, outcome: 'degraded' })]);
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    const rows = await world.clickhouse.query(
      `SELECT outcome, revision, origin_offset FROM messages FINAL WHERE message_id = '${dead.message_id}'`,
    );
    expect(rows).toEqual([{ outcome: 'enriched', revision: 1, origin_offset: offset }]);
    expect(await world.count('receipts', `topic_id = '${REPLAY_ID}' AND outcome = 'duplicate'`)).toBe(2);
    await sink.kill();
  }, 120_000);

  it('dead-letters bytes that are no outcome, untouched, and goes on behind them', async () => {
    const sink = await startSink();
    const [known, unknown] = newOutcomes(2) as [ReturnType<typeof outcomeOf>, ReturnType<typeof outcomeOf>];
    expected.delete(unknown.message_id);
    const garbage = Buffer.from([0, 1, 2, 255, 254, 0]);
    await world.produceBytes(known, garbage);
    await world.produceBytes(unknown, garbage, {} as ReturnType<typeof outcomeHeaders>);
    await world.produce(newOutcomes(50));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    const rows = await world.clickhouse.query(
      `SELECT outcome, reason, tenant_id FROM messages FINAL WHERE message_id = '${known.message_id}'`,
    );
    expect(rows).toEqual([{ outcome: 'dead_lettered', reason: 'outcome_undecodable', tenant_id: known.tenant_id }]);
    const letters = await world.deadLetters();
    expect(letters.map(({ value }) => value)).toEqual([garbage, garbage]);
    expect(letters[0]?.headers['dlq-reason']).toBe('outcome_undecodable');
    await sink.kill();
    // Read again, the one with a receipt is known; the one whose headers said nothing cannot be.
    const isKnown = ({ headers }: { headers: Record<string, string> }) => headers['parley-source'] !== undefined;
    await world.resetToEarliest(OUTCOME_PARTITIONS);
    const heir = await startSink();
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    expect((await world.deadLetters()).filter(isKnown)).toHaveLength(1);
    await heir.kill();
  }, 120_000);

  it('counts a gap once, also when it is told of again and has grown', async () => {
    const sink = await startSink();
    const partition = 2;
    const first = nextOffset[partition] as number;
    const gap = { partition, offset: first, outcome: 'gap', insight: null };
    await world.produce([outcomeOf({ ...gap, last_offset: first + 99 })]);
    await world.produce([outcomeOf({ ...gap, last_offset: first + 119 })]);
    nextOffset[partition] = first + 120;
    await world.produce(newOutcomes(40));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    const gaps = await world.clickhouse.query(
      `SELECT offset - ${first} AS from, last_offset - ${first} AS to FROM receipts WHERE outcome = 'gap' ORDER BY from`,
    );
    expect(gaps).toEqual([
      { from: 0, to: 99 },
      { from: 100, to: 119 },
    ]);
    await sink.kill();
  }, 120_000);
});
