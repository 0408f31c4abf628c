import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { mergeRanges, type OffsetRange } from '../core/offset-ranges.ts';
import { eventually } from '../core/testing/eventually.ts';
import { AdminServer } from '../platform/admin-server.ts';
import { writeInstanceFile } from '../platform/instance-file.ts';
import { KafkaAdmin } from '../platform/kafka/testing/kafka-admin.ts';
import { Metrics } from '../platform/metrics.ts';
import { stuckCheck } from '../platform/stuck-places.ts';
import { countReceipts, type RunQuery, unreceipted } from '../verify/receipt-reader.ts';
import { VerifyWorld } from './testing/verify-world.ts';

/** `verify` and `topics` against a real broker and the real engine, whose contents are laid out by hand. */
const EVENTS_A_PARTITION = 50;
const HOUR = `${new Date().toISOString().slice(0, 13).replace('T', ' ')}:00:00`;

let world: VerifyWorld;

beforeAll(async () => {
  world = await VerifyWorld.create('verify');
});

afterAll(() => world.close());

describe('parley verify', () => {
  it('says which part has nothing to read yet', async () => {
    const noTables = await world.parleyWith({ CLICKHOUSE_DATABASE: 'nowhere' }, 'verify', '--json');
    expect(noTables.code).toBe(1);
    expect(JSON.parse(noTables.out)).toMatchObject({ error: { code: 'CLICKHOUSE_SCHEMA' } });
    const noTopics = await world.parleyWith({ TOPIC_PREFIX: 'nowhere.' }, 'verify', '--json');
    expect(noTopics.code).toBe(1);
    expect(JSON.parse(noTopics.out)).toMatchObject({ error: { code: 'TOPIC_MISSING' } });
  });

  it('takes an empty system for whole', async () => {
    expect(await world.verifyJson()).toMatchObject({
      ok: true,
      code: 0,
      topics: { 'chat.events': { events: 0, missing: 0 } },
    });
  });

  it('counts what nobody has taken yet as in flight, and with --wait says that it is not done', async () => {
    for (const partition of [0, 1]) await world.produce(world.topics.events, partition, EVENTS_A_PARTITION);
    const found = await world.verifyJson();
    expect(found).toMatchObject({ ok: true, code: 0, topics: { 'chat.events': { events: 100, in_flight: 100 } } });
    const waited = await world.parley('verify', '--wait', '1ms');
    expect(waited).toMatchObject({ code: 1, out: expect.stringContaining('NOT DONE') });
  });

  it('does not call missing what the sink has not come to', async () => {
    // The enricher has finished everything; of its outcomes in partition 1 the sink has taken none.
    for (const partition of [0, 1]) await world.produce(world.topics.enriched, partition, EVENTS_A_PARTITION);
    await world.commit(world.groups.enricher, world.topics.events, [50, 50]);
    await world.commit(world.groups.sink, world.topics.enriched, [50, 0]);
    await world.take(0, 0, 47);
    await world.take(0, 47, 49, { outcome: 'dead_lettered' });
    await world.take(0, 49, 50, { outcome: 'duplicate' });
    const { ok, topics } = await world.verifyJson();
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
      no_record: 0,
    });
  });

  it('waits until what is in flight has arrived', async () => {
    const waiting = world.verifyJson('--wait', '60s');
    await world.take(1, 0, 50);
    await world.commit(world.groups.sink, world.topics.enriched, [50, 50]);
    expect(await waiting).toMatchObject({
      ok: true,
      code: 0,
      topics: { 'chat.events': { enriched: 97, in_flight: 0 } },
    });
    const { out } = await world.parley('verify');
    expect(out).toContain('OK: 100 records, none missing, none counted twice.');
  });

  it('counts a gap for what retention removed unread, by its whole range', async () => {
    await world.produce(world.topics.events, 0, 30);
    await world.produce(world.topics.enriched, 0, 1);
    await world.cutLog(world.topics.events, 0, 70);
    await world.tellGap(0, 50, 69);
    const { topics, by_partition } = await world.verifyJson();
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
    await world.take(0, 70, 80);
    await world.commit(world.groups.enricher, world.topics.events, [80, 50]);
    await world.commit(world.groups.sink, world.topics.enriched, [51, 50]);
    expect(await world.verifyJson('--wait', '1ms')).toMatchObject({ ok: false, code: 1 });
    expect((await world.parley('verify')).out).toMatch(/^NOT OK: 20 lost before they were read\./);
    expect(await world.verifyJson('--wait', '1ms', '--accept-gaps')).toMatchObject({ ok: true, code: 0 });
  });

  it('says what was removed unread before the enricher has noticed it', async () => {
    await world.produce(world.topics.replay, 1, 12);
    await world.commit(world.groups.enricher, world.topics.replay, [0, 3]);
    await world.cutLog(world.topics.replay, 1, 10);
    const { ok, topics } = await world.verifyJson('--partition', '1');
    expect({ ok, replay: topics['chat.replay'] }).toMatchObject({
      ok: false,
      replay: { events: 9, gaps: 7, in_flight: 2, missing: 0 },
    });
  });

  it('looks at what is asked for alone: partitions, and what came since', async () => {
    const { scope, by_partition, topics, violations } = await world.verifyJson('--partition', '1', '--since', '1h');
    expect(scope).toMatchObject({ partitions: [1] });
    expect(Date.now() - (scope.since ?? 0)).toBeGreaterThanOrEqual(3_600_000);
    expect(by_partition.map(({ topic, partition }) => [topic, partition])).toEqual([
      ['chat.events', 1],
      ['chat.replay', 1],
    ]);
    expect(topics['chat.events']).toMatchObject({ events: 50, enriched: 50, gaps: 0 });
    expect(violations).toMatchObject({ double_receipts: 0, rollup_mismatches: null, log_mismatches: null });
    const both = await world.verifyJson('--partition', '1', '--partition', '0', '--since', '2020-01-01T00:00:00Z');
    expect(both.topics['chat.events']).toMatchObject({ events: 80, gaps: 20 });
    const later = await world.verifyJson('--since', new Date(Date.now() + 1_000).toISOString());
    expect(later).toMatchObject({ ok: true, topics: { 'chat.events': { events: 0, gaps: 0 } } });
    expect(await world.parley('verify', '--partition', '2')).toMatchObject({
      code: 2,
      err: expect.stringContaining('There is no partition 2'),
    });
    expect((await world.parley('verify', '--since', 'yesterday')).code).toBe(2);
  });

  it('finds where in the log the time of --since began', async () => {
    const between = new Date();
    await eventually(() => expect(Date.now()).toBeGreaterThan(between.getTime()));
    await world.produce(world.topics.events, 1, 7);
    const report = await world.verifyJson('--since', between.toISOString());
    expect(report.topics['chat.events']).toMatchObject({ events: 7, enriched: 0, in_flight: 7 });
    expect(
      report.by_partition.find(({ partition, topic }) => topic === 'chat.events' && partition === 1),
    ).toMatchObject({ log_start: 50, log_end: 57 });
    const { out, err } = await world.parley('verify', '--since', between.toISOString(), '--partition', '0,1');
    expect(out).toContain(`Looked at: since ${between.toISOString()}; partition 0, 1; rollups not recounted`);
    // What it does meanwhile goes to stderr, so that stdout stays a report.
    expect(err).toContain('chat.events partition 1: offsets 50 to 57');
    expect(out).not.toContain('offsets 50 to 57');
    await world.take(1, 50, 57);
    await world.produce(world.topics.enriched, 1, 7);
    await world.commit(world.groups.enricher, world.topics.events, [80, 57]);
    await world.commit(world.groups.sink, world.topics.enriched, [51, 57]);
    expect(await world.verifyJson('--accept-gaps')).toMatchObject({ ok: true, code: 0 });
  });

  it('takes no offset for its own that was committed for an earlier topic of this name', async () => {
    await world.produce(world.topics.events, 0, 3);
    const earlier = 'AAAAAAAAAAAAAAAAAAAAAA';
    await world.commit(world.groups.enricher, world.topics.events, [900, 57], `1.00000000.${earlier}.`);
    const { by_partition, topics } = await world.verifyJson();
    expect(by_partition[0]).toMatchObject({ watermark: null, in_flight: 3, missing: 0 });
    expect(topics['chat.events']).toMatchObject({ in_flight: 3, missing: 0 });
    await world.take(0, 80, 83);
    await world.commit(world.groups.enricher, world.topics.events, [83, 57]);
    expect(await world.verifyJson('--accept-gaps')).toMatchObject({ ok: true, code: 0 });
  });
});

describe('a service whose partition cannot go on', () => {
  it('is named by verify and status, with the record that it cannot pass, and is not ok', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'parley-stuck-'));
    const place = { topic: 'chat.enriched', partition: 1, offset: 7, failures: 4, code: 'VIOLATED_CONSTRAINT' };
    const places = [place];
    const admin = await AdminServer.start({
      port: 0,
      fallbackToFreePort: true,
      metrics: new Metrics('test'),
      checks: { records: stuckCheck(() => places) },
      accepting: () => true,
    });
    const env = { PARLEY_DATA_DIR: dataDir };
    const admin_url = `http://127.0.0.1:${admin.port}`;
    const sink = { name: 'sink', instance: 'sink-1', pid: process.pid, admin_url, url: null };
    await writeInstanceFile(join(dataDir, 'run'), sink);
    const why = 'chat.enriched/1 cannot go on: offset 7 failed 4 times (VIOLATED_CONSTRAINT)';
    const { code, out } = await world.parleyWith(env, 'verify');
    expect([code, out]).toEqual([1, expect.stringContaining(`Stuck: sink (sink-1): ${why}`)]);
    expect(out).toMatch(/^NOT OK: .*1 service cannot go on/);
    expect(JSON.parse((await world.parleyWith(env, 'verify', '--json')).out)).toMatchObject({
      ok: false,
      stuck: [{ service: 'sink', instance: 'sink-1', error: why }],
    });
    expect((await world.parleyWith(env, 'status')).out).toContain(`records DOWN: ${why}`);
    places.pop();
    expect((await world.parleyWith(env, 'verify')).out).not.toContain('Stuck');
    await admin.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
});

describe('receipts of a long log', () => {
  it('are counted once each, and their holes found across the chunks that are looked into', async () => {
    const long = 'long-log' as TopicId;
    const all = { topicId: long, partition: 3, from: 1_000, to: 300_000 };
    // Holes: one offset, one across the border of two chunks of 65,536, one at each end; 100..200 thousand twice.
    const holes = '(offset BETWEEN 131000 AND 131100) OR offset IN (1000, 70000, 299999)';
    const insert = (from: number, to: number) =>
      world.clickhouse.command(`
        INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, enriched_at)
        SELECT '${long}', 'long', 3, ${from} + number AS offset, offset, if(offset % 2 = 0, 'enriched', 'degraded'), '${HOUR}'
        FROM numbers(${to - from}) WHERE NOT (${holes})`);
    await insert(500, 300_000);
    await insert(100_000, 200_000);
    const query: RunQuery = (sql, params) => world.clickhouse.query(sql, { params });
    const gaps = [{ first: 131_050, last: 131_099 }];
    const { receipts, belowWatermark } = await countReceipts(query, all, 131_000, gaps);
    expect(receipts.enriched + receipts.degraded).toBe(299_000 - 101 - 3);
    expect(belowWatermark).toBe(130_000 - 2);
    const list = async (without: typeof gaps) => {
      const found: OffsetRange[] = [];
      for await (const chunk of unreceipted(query, all, without)) found.push(...chunk);
      return mergeRanges(found);
    };
    expect(await list(gaps)).toEqual([
      { first: 1_000, last: 1_000 },
      { first: 70_000, last: 70_000 },
      { first: 131_000, last: 131_049 },
      { first: 131_100, last: 131_100 },
      { first: 299_999, last: 299_999 },
    ]);
    expect(await list([])).toEqual([
      { first: 1_000, last: 1_000 },
      { first: 70_000, last: 70_000 },
      { first: 131_000, last: 131_100 },
      { first: 299_999, last: 299_999 },
    ]);
  });
});

describe('parley topics', () => {
  it('shows ids, sizes, lag and settings as they are', async () => {
    await KafkaAdmin.use(world.kafka, (admin) =>
      admin.replaceSettings(world.topics.replay, { 'retention.ms': '1000' }),
    );
    const { code, out } = await world.parley('topics', '--json');
    expect(code).toBe(0);
    const topics = (JSON.parse(out) as { topics: Record<string, unknown>[] }).topics;
    expect(topics.map(({ topic }) => topic)).toEqual([
      world.topics.events,
      world.topics.enriched,
      world.topics.dlq,
      world.topics.replay,
    ]);
    expect(topics[0]).toMatchObject({
      topic_id: world.eventsId,
      partitions: 2,
      replication: 1,
      records: 70,
      lag: [{ group: world.groups.enricher, lag: 0 }],
      settings_differing: [],
    });
    expect(topics[3]?.['settings_differing']).toContainEqual({
      name: 'retention.ms',
      value: '1000',
      wanted: String(7 * 86_400_000),
    });
    expect((await world.parley('topics')).out).toContain('retention.ms is 1000');
  });

  it('is no success where topics are missing', async () => {
    const { code, out } = await world.parleyWith({ TOPIC_PREFIX: 'nowhere.' }, 'topics', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ topics: [{ topic: 'nowhere.chat.events', topic_id: null }, {}, {}, {}] });
  });
});
