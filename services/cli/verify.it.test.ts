import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { isolation, stack } from '../local/testing/stack.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafka.ts';
import { openCluster } from '../platform/kafka/kafkajs-internals.ts';
import { fetchTopicIds } from '../platform/kafka/topic-ids.ts';
import { ensureTopics, groupNames, topicNames } from '../platform/kafka/topics.ts';
import { createLogger } from '../platform/logger.ts';
import { countReceipts, listUnreceipted, type RunQuery } from '../replay/receipt-reader.ts';
import type { VerifyReport } from '../replay/verify.ts';
import { runCli } from './program.ts';

/**
 * `verify` against a real broker and the real engine, whose contents are laid out by hand: two partitions, of which a
 * pipeline has taken some records. Each kind of damage must be found and named with its place.
 */
const { TOPIC_PREFIX, CLICKHOUSE_DATABASE } = isolation('verify');
const names = topicNames(TOPIC_PREFIX);
const groups = groupNames(TOPIC_PREFIX);
const log = createLogger('verify-test', 'silent');
const EVENTS_A_PARTITION = 50;
/** The present one: receipts of another month have outlived their TTL. */
const HOUR = `${new Date().toISOString().slice(0, 13).replace('T', ' ')}:00:00`;

let kafka: Kafka;
let clickhouse: ClickHouse;
let topicId: string;

const environment = () => ({
  KAFKA_BROKERS: stack().kafkaBrokers,
  CLICKHOUSE_URL: stack().clickhouseUrl,
  TOPIC_PREFIX,
  CLICKHOUSE_DATABASE,
});

const parley = (...args: string[]) => parleyWith({}, ...args);

async function parleyWith(env: Record<string, string>, ...args: string[]) {
  let out = '';
  let err = '';
  const code = await runCli(
    args,
    { env: { ...environment(), ...env }, signal: new AbortController().signal },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { code, out, err };
}

async function verifyJson(...args: string[]): Promise<VerifyReport & { code: number }> {
  const { code, out, err } = await parley('verify', '--json', ...args);
  if (!out.startsWith('{"ok"')) throw new Error(`${out}${err}`);
  return { ...(JSON.parse(out) as VerifyReport), code };
}

/** Opaque records: `verify` reads no bytes, only offsets. */
async function produce(topic: string, partition: number, count: number): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  try {
    const messages = Array.from({ length: count }, (_, index) => ({ partition, value: `${index}` }));
    await producer.send({ topic, messages, acks: -1 });
  } finally {
    await producer.disconnect();
  }
}

/** As a member-less consumer; kafkajs's own `setOffsets` joins the group for it, which takes five seconds. */
async function commit(groupId: string, topic: string, offsets: readonly number[]): Promise<void> {
  const cluster = openCluster(kafka);
  await cluster.connect();
  try {
    const partitions = offsets.map((offset, partition) => ({ partition, offset: `${offset}`, metadata: '' }));
    const coordinator = await cluster.findGroupCoordinator({ groupId });
    await coordinator.offsetCommit({ groupId, memberId: '', groupGenerationId: -1, topics: [{ topic, partitions }] });
  } finally {
    await cluster.disconnect();
  }
}

/** The receipts and facts of offsets `[from, to)`, through the ingest table, as one block of the sink's. */
const take = (partition: number, from: number, to: number, outcome = 'enriched') =>
  clickhouse.command(`
    INSERT INTO ingest (to_receipts, to_messages, sign, topic_id, topic, partition, offset, last_offset, receipt_outcome,
      message_id, tenant_id, bot_id, conversation_id, sent_at, received_at, enriched_at, outcome, sentiment_label,
      sentiment_e4, origin_topic_id, origin_partition, origin_offset, log_partition, log_offset, block_from, block_to)
    SELECT 1, '${outcome}' != 'duplicate', '${outcome}' != 'duplicate', '${topicId}', '${names.events}', ${partition},
      ${from} + number AS at, at, '${outcome}', concat('m', toString(at)), 't1', 'b1', 'c${partition}',
      toDateTime64('${HOUR}', 3, 'UTC') + at AS sent, sent, sent + INTERVAL 200 MILLISECOND, '${outcome}', 'positive', 5000,
      '${topicId}', ${partition}, at, ${partition}, at, ${from}, ${to}
    FROM numbers(${to - from})
    SETTINGS insert_deduplication_token = '${partition}-${from}-${to}-${outcome}'`);

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'verify-test', log });
  await ensureTopics(kafka, { prefix: TOPIC_PREFIX, partitions: 2, replicationFactor: 1 });
  topicId = (await fetchTopicIds(kafka, [names.events])).get(names.events) ?? '';
  clickhouse = createClickHouse({ url: stack().clickhouseUrl, database: CLICKHOUSE_DATABASE, log });
  await migrate(clickhouse, { log });
});

afterAll(async () => {
  await clickhouse.command(`DROP DATABASE IF EXISTS ${CLICKHOUSE_DATABASE}`);
  await clickhouse.close();
});

describe('parley verify', () => {
  it('says which part has nothing to read yet', async () => {
    const noTables = await parleyWith({ CLICKHOUSE_DATABASE: 'nowhere' }, 'verify', '--json');
    expect(noTables.code).toBe(1);
    expect(JSON.parse(noTables.out)).toMatchObject({ error: { code: 'CLICKHOUSE_SCHEMA' } });
    const noTopics = await parleyWith({ TOPIC_PREFIX: 'nowhere.' }, 'verify', '--json');
    expect(noTopics.code).toBe(1);
    expect(JSON.parse(noTopics.out)).toMatchObject({ error: { code: 'TOPIC_MISSING' } });
  });

  it('takes an empty system for whole', async () => {
    expect(await verifyJson()).toMatchObject({
      ok: true,
      code: 0,
      topics: { 'chat.events': { events: 0, missing: 0 } },
    });
  });

  it('counts what nobody has taken yet as in flight, and with --wait says that it is not done', async () => {
    for (const partition of [0, 1]) await produce(names.events, partition, EVENTS_A_PARTITION);
    const found = await verifyJson();
    expect(found).toMatchObject({ ok: true, code: 0, topics: { 'chat.events': { events: 100, in_flight: 100 } } });
    const waited = await parley('verify', '--wait', '1ms');
    expect(waited).toMatchObject({ code: 1, out: expect.stringContaining('NOT DONE') });
  });

  it('does not call missing what the sink has not come to', async () => {
    // The enricher has finished everything; of its outcomes in partition 1 the sink has taken none.
    for (const partition of [0, 1]) await produce(names.enriched, partition, EVENTS_A_PARTITION);
    await commit(groups.enricher, names.events, [50, 50]);
    await commit(groups.sink, names.enriched, [50, 0]);
    await take(0, 0, 47);
    await take(0, 47, 49, 'dead_lettered');
    await take(0, 49, 50, 'duplicate');
    const { ok, topics } = await verifyJson();
    expect(ok).toBe(true);
    expect(topics['chat.events']).toEqual({
      events: 100,
      enriched: 47,
      degraded: 0,
      dead_lettered: 2,
      duplicate_receipts: 1,
      gaps: 0,
      in_flight: 50,
      missing: 0,
    });
  });

  it('waits until what is in flight has arrived', async () => {
    const waiting = verifyJson('--wait', '60s');
    await take(1, 0, 50);
    await commit(groups.sink, names.enriched, [50, 50]);
    expect(await waiting).toMatchObject({
      ok: true,
      code: 0,
      topics: { 'chat.events': { enriched: 97, in_flight: 0 } },
    });
    const { out } = await parley('verify');
    expect(out).toContain('OK: 100 records, none missing, none counted twice.');
  });

  it('counts a gap for what retention removed unread, by its whole range', async () => {
    await produce(names.events, 0, 30);
    await produce(names.enriched, 0, 1);
    const admin = kafka.admin();
    await admin.connect();
    // kafkajs deletes nothing in a topic that this client has not looked at.
    await admin.fetchTopicOffsets(names.events);
    await admin.deleteTopicRecords({ topic: names.events, partitions: [{ partition: 0, offset: '70' }] });
    await admin.disconnect();
    await clickhouse.command(`
      INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, enriched_at)
      VALUES ('${topicId}', '${names.events}', 0, 50, 69, 'gap', '${HOUR}')`);
    const { topics, by_partition } = await verifyJson();
    // Partition 0 holds 70..79, not taken yet; what was taken below the log's start is left out, its gap is not.
    expect(by_partition[0]).toMatchObject({
      log_start: 70,
      log_end: 80,
      events: 30,
      gaps: 20,
      in_flight: 10,
      missing: 0,
    });
    expect(topics['chat.events']).toMatchObject({ events: 80, gaps: 20, in_flight: 10, missing: 0 });
    await take(0, 70, 80);
    await commit(groups.enricher, names.events, [80, 50]);
    await commit(groups.sink, names.enriched, [51, 50]);
    expect(await verifyJson('--wait', '1ms')).toMatchObject({ ok: true, code: 0 });
  });
});

describe('parley verify on a damaged system', () => {
  it('names the offsets that have no receipt', async () => {
    const mutate = 'SETTINGS mutations_sync = 2';
    await clickhouse.command(`ALTER TABLE receipts DELETE WHERE partition = 1 AND offset IN (7, 20, 21, 22) ${mutate}`);
    const report = await verifyJson();
    expect(report).toMatchObject({ ok: false, code: 1, topics: { 'chat.events': { missing: 4, in_flight: 0 } } });
    expect(report.by_partition.find(({ missing }) => missing > 0)).toMatchObject({
      topic: 'chat.events',
      topic_id: topicId,
      partition: 1,
      missing_ranges: [
        { first: 7, last: 7 },
        { first: 20, last: 22 },
      ],
    });
    const { out } = await parley('verify');
    expect(out).toContain('Missing in chat.events partition 1: 4 (offsets 7, 20-22;');
    expect(out).toContain('NOT OK: 4 missing.');
  });

  it('names a source with two receipts', async () => {
    await clickhouse.command('INSERT INTO receipts SELECT * FROM receipts WHERE partition = 1 AND offset = 8');
    const { ok, violations, examples } = await verifyJson();
    expect(ok).toBe(false);
    expect(violations.double_receipts).toBe(1);
    expect(examples.double_receipts[0]).toMatchObject({ topic_id: topicId, partition: 1, offset: 8 });
  });

  it('names a message with two rows, and two ids for one origin', async () => {
    const copy = (change: string) =>
      clickhouse.command(
        `INSERT INTO messages SELECT * REPLACE (${change}) FROM messages WHERE origin_partition = 0 AND origin_offset = 9 LIMIT 1`,
      );
    // Another hour is another sort key: FINAL does not take the two for one.
    await copy('sent_at + INTERVAL 2 HOUR AS sent_at');
    await copy(`'other' AS message_id`);
    const { violations, examples } = await verifyJson();
    expect(violations.double_facts).toBe(2);
    expect(examples.double_facts).toEqual([
      expect.objectContaining({ message_id: 'm9', copies: 2 }),
      expect.objectContaining({ message_ids: ['m9', 'other'] }),
    ]);
  });

  it('names a rollup row that differs from the facts', async () => {
    const before = (await verifyJson()).violations.rollup_mismatches;
    await clickhouse.command(`
      INSERT INTO bot_hour_sums (hour, tenant_id, bot_id, messages, positive)
      VALUES ('2026-03-01 10:00:00', 't2', 'b2', 1, 1)`);
    const { ok, violations, examples } = await verifyJson();
    expect(ok).toBe(false);
    expect(violations.rollup_mismatches).toBe(before + 1);
    expect(examples.rollup_mismatches).toContainEqual(
      expect.objectContaining({ rollup: 'bot_hour_sums', tenant_id: 't2', bot_id: 'b2' }),
    );
  });
});

describe('receipts of a long log', () => {
  it('are counted once each, and their holes found across the chunks that are looked into', async () => {
    const long = 'long-log' as TopicId;
    const all = { topicId: long, partition: 3, from: 1_000, to: 300_000 };
    // Holes: one offset, one across the border of two chunks of 65,536, one at each end; 100..200 thousand twice.
    const holes = '(offset BETWEEN 131000 AND 131100) OR offset IN (1000, 70000, 299999)';
    const insert = (from: number, to: number) =>
      clickhouse.command(`
        INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, enriched_at)
        SELECT '${long}', 'long', 3, ${from} + number AS offset, offset, if(offset % 2 = 0, 'enriched', 'degraded'), '${HOUR}'
        FROM numbers(${to - from}) WHERE NOT (${holes})`);
    await insert(500, 300_000);
    await insert(100_000, 200_000);
    const query: RunQuery = (sql, params) => clickhouse.query(sql, { params });
    const gaps = [{ first: 131_050, last: 131_099 }];
    const { receipts, belowWatermark } = await countReceipts(query, all, 131_000, gaps);
    expect(receipts.enriched + receipts.degraded).toBe(299_000 - 101 - 3);
    expect(belowWatermark).toBe(130_000 - 2);
    expect(await listUnreceipted(query, all, gaps, 20)).toEqual([
      { first: 1_000, last: 1_000 },
      { first: 70_000, last: 70_000 },
      { first: 131_000, last: 131_049 },
      { first: 131_100, last: 131_100 },
      { first: 299_999, last: 299_999 },
    ]);
    expect(await listUnreceipted(query, all, [], 3)).toEqual([
      { first: 1_000, last: 1_000 },
      { first: 70_000, last: 70_000 },
      { first: 131_000, last: 131_100 },
    ]);
  });
});

describe('parley topics', () => {
  it('shows ids, sizes, lag and settings as they are', async () => {
    const admin = kafka.admin();
    await admin.connect();
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: names.replay, configEntries: [{ name: 'retention.ms', value: '1000' }] }],
    });
    await admin.disconnect();
    const { code, out } = await parley('topics', '--json');
    expect(code).toBe(0);
    const topics = (JSON.parse(out) as { topics: Record<string, unknown>[] }).topics;
    expect(topics.map(({ topic }) => topic)).toEqual([names.events, names.enriched, names.dlq, names.replay]);
    expect(topics[0]).toMatchObject({
      topic_id: topicId,
      partitions: 2,
      replication: 1,
      records: 60,
      lag: [{ group: groups.enricher, lag: 0 }],
      settings_differing: [],
    });
    expect(topics[3]?.['settings_differing']).toContainEqual({
      name: 'retention.ms',
      value: '1000',
      wanted: String(7 * 86_400_000),
    });
    expect((await parley('topics')).out).toContain('retention.ms is 1000');
  });

  it('is no success where topics are missing', async () => {
    const { code, out } = await parleyWith({ TOPIC_PREFIX: 'nowhere.' }, 'topics', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ topics: [{ topic: 'nowhere.chat.events', topic_id: null }, {}, {}, {}] });
  });
});
