import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../core/clock.ts';
import { conversationKey } from '../core/partitioner.ts';
import type { ChatOutcome } from '../core/records.ts';
import { isolation, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { sendCompressed } from '../platform/kafka/testing/compressed-batch.ts';
import { sendInTransaction } from '../platform/kafka/testing/transaction.ts';
import { outcomeHeaders } from '../platform/record-headers.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { FactStore } from './fact-store.ts';
import { factRow } from './ingest-row.ts';
import { encodeCommit } from './intent.ts';
import { outcomeOf } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const names = isolation('sink transactions');
const env = { ...names, TOPIC_PARTITIONS: '1' };
let world: SinkWorld;
let next = 0;
const expected = new Set<string>();

const newOutcomes = (count: number): ChatOutcome[] =>
  Array.from({ length: count }, () => {
    const outcome = outcomeOf({ partition: 0, offset: next++ });
    expected.add(outcome.message_id);
    return outcome;
  });

/** As a record of somebody's transactional producer. */
const recordOf = (outcome: ChatOutcome) => ({
  partition: 0,
  key: conversationKey(outcome.tenant_id, outcome.bot_id, outcome.conversation_id),
  value: world.codec.encodeOutcome(outcome),
  headers: outcomeHeaders(outcome),
});

const transact = (outcomes: readonly ChatOutcome[], end: 'commit' | 'abort') =>
  sendInTransaction(world.kafka, world.topics.enriched, outcomes.map(recordOf), end);

/** Outcomes that are never to be seen. */
const abort = (count: number) =>
  transact(
    Array.from({ length: count }, (_, n) => outcomeOf({ partition: 0, offset: 900_000 + n })),
    'abort',
  );

const startSink = async () => {
  const sink = await spawnService('sink', env);
  await sink.ready();
  return sink;
};

beforeAll(async () => {
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  world = await SinkWorld.create({ kafkaBrokers, registryUrl, clickhouseUrl, prefix, database, partitions: 1 });
}, 60_000);

afterAll(async () => {
  await stopServices();
  await world.close();
});

describe('a sink that reads what transactional producers wrote', () => {
  it('commits behind the marker at the end of its partition, and behind aborted records', async () => {
    const sink = await startSink();
    await transact(newOutcomes(3), 'commit');
    await world.caughtUp();
    await abort(4);
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    const metrics = await (await fetch(`${sink.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/kafka_consumergroup_lag\{[^}]*\} 0/);
    await sink.kill();
    // Where only markers came since the last block, the next sink is behind them as well.
    await abort(1);
    const heir = await startSink();
    await world.caughtUp();
    await heir.kill();
    await expectExactlyOnce(world.clickhouse, expected);
  }, 120_000);

  it('moves behind a batch that cannot be read, and takes what comes behind it', async () => {
    const sink = await startSink();
    // Unpacks to 20 MiB, more than is read of one batch.
    const bomb = Array.from({ length: 40 }, () => ({ partition: 0, value: Buffer.alloc(512 << 10) }));
    await sendCompressed(world.kafka, world.topics.enriched, 'gzip', bomb);
    await world.caughtUp();
    await world.produce(newOutcomes(2));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    expect(sink.logs()).toContain('BATCH_UNREADABLE');
    await sink.kill();
  }, 120_000);

  it.each(['begun', 'not begun'] as const)(
    'inserts a block again that was %s and has markers and aborted records inside, and it comes out the same',
    async (state) => {
      const { topicId, ends } = await world.logEnds();
      const from = ends.get(0) ?? 0;
      const [first, second] = [newOutcomes(2), newOutcomes(2)] as const;
      await transact(first, 'commit');
      await abort(3);
      await transact(second, 'commit');
      await transact(newOutcomes(2), 'commit');
      // Two, a marker, three aborted, a marker, two: the block ends before the third marker.
      const block = { topicId, partition: 0, from, to: from + 9 };
      await world.commit(0, from, encodeCommit(topicId, from, block.to, 1));
      if (state === 'begun') {
        const store = new FactStore(world.clickhouse, systemClock);
        await store.begin({ ...block, seq: 1_000, layout: 1 }, 4);
        await world.clickhouse.command('DETACH TABLE ingest_to_receipts');
        const places = [from, from + 1, from + 7, from + 8];
        const rows = [...first, ...second].map((outcome, index) =>
          factRow(outcome, { block, offset: places[index] ?? 0, isLegacy: false }),
        );
        await store.ingest(block, rows);
        await world.clickhouse.command('ATTACH TABLE ingest_to_receipts');
      }
      const sink = await startSink();
      await world.caughtUp();
      await expectExactlyOnce(world.clickhouse, expected);
      expect(await world.count('messages', `origin_offset >= 900000`)).toBe(0);
      await sink.kill();
    },
    120_000,
  );
});
