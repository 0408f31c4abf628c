import { afterAll, describe, expect, it } from '@jest/globals';
import { deadKey, keyCrc, keyHash } from '../core/message-key.ts';
import { isolation, stack } from '../local/testing/stack.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { createLogger } from '../platform/logger.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { lateKeys } from './receipt-queries.ts';
import { BlockInserts, blockOf, entriesOf, VIEWS } from './testing/block-inserts.ts';
import { outcomeOf } from './testing/outcomes.ts';

const log = createLogger('test', 'silent');
let clickhouse: ClickHouse;
let blocks: BlockInserts;

async function freshDatabase(): Promise<void> {
  await clickhouse?.close();
  const { CLICKHOUSE_DATABASE: database } = isolation('sink_blocks');
  clickhouse = createClickHouse({ url: stack().clickhouseUrl, database, log });
  await migrate(clickhouse, { log });
  blocks = new BlockInserts(clickhouse);
}

afterAll(() => clickhouse.close());

const messages = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => outcomeOf({ partition: 0, offset: from + index }));
const ids = (outcomes: readonly { message_id: string }[]) => outcomes.map(({ message_id }) => message_id);

const insert: BlockInserts['insert'] = (...given) => blocks.insert(...given);
const insertWithout: BlockInserts['insertWithout'] = (...given) => blocks.insertWithout(...given);

describe('a block', () => {
  it.each(VIEWS.flatMap((view) => [[[view]], [VIEWS.filter((other) => other !== view)]]))(
    'that was cut off before %j is completed exactly by its replay',
    async (views) => {
      await freshDatabase();
      const outcomes = messages(0, 500);
      const [block, entries] = [blockOf(0, 500), entriesOf(outcomes)];
      await insertWithout(views, block, entries);
      await expect(expectExactlyOnce(clickhouse, ids(outcomes))).rejects.toThrow('not exactly once');
      await insert(block, entries, true);
      await insert(block, entries, true);
      await expectExactlyOnce(clickhouse, ids(outcomes));
    },
  );

  it('that is raced by a zombie under the same token goes in once', async () => {
    await freshDatabase();
    const outcomes = messages(0, 1_000);
    for (let round = 0; round < 5; round++) {
      const from = round * 200;
      const [block, entries] = [blockOf(from, from + 200), entriesOf(outcomes.slice(from, from + 200), from)];
      await Promise.all([insert(block, entries, true), insert(block, entries, true), insert(block, entries, true)]);
    }
    await expectExactlyOnce(clickhouse, ids(outcomes));
  });

  it('with a replacement comes out the same when replayed after the old row was merged away', async () => {
    await freshDatabase();
    const dead = outcomeOf({ partition: 0, offset: 0, outcome: 'dead_lettered', insight: null });
    await insert(blockOf(0, 1), entriesOf([dead]), false);
    const { tenant_id, bot_id, conversation_id, message_id } = dead;
    const key = { tenant_id, bot_id, conversation_id, message_id };
    const better = outcomeOf({ partition: 0, offset: 1, originOffset: 0, ...key, revision: 1, supersedes: 0 });
    const resend = outcomeOf({ partition: 0, offset: 2, ...key, recheck: true });
    const [block, entries] = [blockOf(1, 3), entriesOf([better, resend], 1)];
    // The facts are in, the sums are not, and the old row is gone.
    await insertWithout(['ingest_to_rollup_sums'], block, entries);
    for (const table of ['messages', 'message_keys']) await clickhouse.command(`OPTIMIZE TABLE ${table} FINAL`);
    await insert(block, entries, true);
    await expectExactlyOnce(clickhouse, [message_id]);
    const hours = await clickhouse.query('SELECT messages, enriched, dead_lettered FROM bot_hour');
    expect(hours).toEqual([{ messages: 1, enriched: 1, dead_lettered: 0 }]);
  });

  it('with the repair of an undecodable record hides the row that stood for it', async () => {
    await freshDatabase();
    const unread = outcomeOf({ partition: 0, offset: 0, outcome: 'dead_lettered', insight: null });
    const dead = {
      ...unread,
      message_id: `dead:${unread.source.topic_id}:0:0`,
      tenant_id: '',
      bot_id: '',
      conversation_id: '',
    };
    await insert(blockOf(0, 1), entriesOf([dead]), false);
    const repaired = outcomeOf({ partition: 0, offset: 1, originOffset: 0, revision: 1, supersedes: 0 });
    await insert(blockOf(1, 2), entriesOf([repaired], 1), false);
    await clickhouse.command('OPTIMIZE TABLE messages FINAL');
    await expectExactlyOnce(clickhouse, [repaired.message_id]);
  });

  it('asks for keys by the hashes that ClickHouse computes too', async () => {
    await freshDatabase();
    const outcome = outcomeOf({ partition: 0, offset: 0, conversation_id: 'Grüße, 世界 😀', message_id: "it's" });
    await insert(blockOf(0, 1), entriesOf([outcome]), false);
    const rows = await clickhouse.query('SELECT lower(hex(key_hash)) AS hash, revision FROM message_keys');
    expect(rows).toEqual([{ hash: keyHash(outcome), revision: 0 }]);
    const source = { topicId: outcome.source.topic_id, partition: 0 };
    expect(await blocks.store.lateKeys(source, 60_000)).toEqual({ crcs: [keyCrc(outcome)], isPartial: false });
    // A load that was cut short says so.
    await insert(blockOf(1, 2), entriesOf([outcomeOf({ partition: 0, offset: 1 })], 1), false);
    const cut = await lateKeys(clickhouse, source, 60_000, 1);
    expect([cut.crcs.length, cut.isPartial]).toEqual([1, true]);
    const [row] = await blocks.store.presentRows([outcome], blockOf(5, 6));
    const { tenant_id, sent_at } = outcome;
    expect(row).toMatchObject({ message_id: "it's", tenant_id, sent_at, revision: 0, latency_counts: 1 });
  });

  it('finds the row that a replay replaces among the facts where the keys no longer reach', async () => {
    await freshDatabase();
    const dead = outcomeOf({ partition: 0, offset: 0, outcome: 'dead_lettered', insight: null });
    const origin = { topic_id: dead.source.topic_id, partition: 0, offset: 1 };
    const unread = {
      ...outcomeOf({ partition: 0, offset: 1, outcome: 'dead_lettered', insight: null }),
      ...deadKey(origin),
    };
    await insert(blockOf(0, 2), entriesOf([dead, unread]), false);
    await clickhouse.command('TRUNCATE TABLE message_keys');
    const { tenant_id, bot_id, conversation_id, message_id, sent_at } = dead;
    const key = { tenant_id, bot_id, conversation_id, message_id, sent_at };
    const better = outcomeOf({ partition: 0, offset: 2, originOffset: 0, ...key, revision: 1, supersedes: 0 });
    const repaired = outcomeOf({ partition: 0, offset: 3, originOffset: 1, revision: 1, supersedes: 0 });
    await insert(blockOf(2, 4), entriesOf([better, repaired], 2), false);
    await expectExactlyOnce(clickhouse, [message_id, repaired.message_id]);
  });

  it('of ten replayed dead letters leaves the percentiles of latency where they were', async () => {
    await freshDatabase();
    const at = Date.UTC(2026, 5, 1, 12);
    const places = Array.from({ length: 100 }, (_, offset) => ({ partition: 0, offset, tenant_id: 't', bot_id: 'b' }));
    const times = (latencyMs: number) => ({ sent_at: at, received_at: at, enriched_at: at + latencyMs });
    const isDead = (offset: number) => offset >= 90;
    const first = places.map((place) =>
      isDead(place.offset)
        ? outcomeOf({ ...place, ...times(30_300), outcome: 'dead_lettered', insight: null })
        : outcomeOf({ ...place, ...times(280) }),
    );
    await insert(blockOf(0, 100), entriesOf(first), false);
    const latencies = () => clickhouse.query('SELECT latency_p50_ms, latency_p99_ms, messages FROM bot_hour');
    const before = await latencies();
    const replayed = places
      .filter(({ offset }) => isDead(offset))
      .map(({ offset, ...place }) =>
        outcomeOf({
          ...place,
          ...times(7_200_000),
          offset: 100 + offset,
          originOffset: offset,
          revision: 1,
          supersedes: 0,
        }),
      );
    await insert(blockOf(100, 110), entriesOf(replayed, 100), false);
    expect(await latencies()).toEqual(before);
    expect(before).toEqual([
      { latency_p50_ms: expect.closeTo(280, -1), latency_p99_ms: expect.closeTo(30_300, -3), messages: 100 },
    ]);
    await expectExactlyOnce(clickhouse, ids(first));
  });
});
