import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TopicId } from '../../core/brands.ts';
import { encodeLedger } from '../../core/ledger-metadata.ts';
import { OffsetLedger } from '../../core/offset-ledger.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../../local/testing/stack.ts';
import { migrate } from '../../platform/clickhouse/migrations.ts';
import { ScriptedNlp } from '../../platform/testing/scripted-nlp.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { ReflexWorld } from './testing/reflex-world.ts';

/**
 * What operators try when something seems wrong (docs/operations.md, "What operators try, and what happens"): on a real
 * broker and engine, with the real enricher and sink. Each either changes no number or is told loudly.
 */
const PARTITIONS = 3;
const names = isolation('reflexes');
const env: Record<string, string> = { ...names, TOPIC_PARTITIONS: String(PARTITIONS) };
let nlp: ScriptedNlp;
let world: ReflexWorld;
let enricher: ServiceHandle;
let sink: ServiceHandle;

async function start(name: 'enricher' | 'sink'): Promise<ServiceHandle> {
  const service = await spawnService(name, env);
  await service.ready();
  return service;
}

const startBoth = async () => {
  [enricher, sink] = await Promise.all([start('enricher'), start('sink')]);
};
const stopBoth = () => Promise.all([enricher.kill(), sink.kill()]);

/** A metric's values by its labels as they stand in the text. */
async function metric(service: ServiceHandle, name: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${service.adminUrl}/metrics`)).text();
  const lines = text.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? ([\\d.e+]+)$`, 'gm'));
  return new Map([...lines].map(([, labels = '', value]) => [labels, Number(value)]));
}
const sumOf = async (service: ServiceHandle, name: string, label = '') =>
  [...(await metric(service, name))].reduce((sum, [labels, value]) => sum + (labels.includes(label) ? value : 0), 0);

const lineWith = (service: ServiceHandle, code: string) =>
  eventually(() => expect(service.logs()).toContain(`"code":"${code}"`), { timeoutMs: 20_000 });

beforeAll(async () => {
  nlp = await ScriptedNlp.start();
  // One call a message, so that calls can be counted.
  // One call a message: no batches, no cache, no hedges, and no retry because a busy machine answers late.
  const onceEach = {
    NLP_BATCH: 'off',
    NLP_CACHE_BYTES: '0',
    NLP_HEDGE_SHARE: '0',
    NLP_TIMEOUT_MS: '30000',
    NLP_HALF_OPEN_AFTER_MS: '31000',
  };
  Object.assign(env, { NLP_URL: nlp.url, ...onceEach });
  world = await ReflexWorld.connect({ addresses: stack(), names, partitions: PARTITIONS });
  await startBoth();
  await world.send('first', 300);
  await world.expectWhole();
}, 120_000);

afterAll(async () => {
  await stopServices();
  await world.clickhouse.command(`DROP DATABASE IF EXISTS ${names.CLICKHOUSE_DATABASE}`);
  await world.close();
  await nlp.close();
});

describe('offsets', () => {
  it('parley.enricher reset to the earliest: every call again, no number changed', async () => {
    const numbers = await world.numbers();
    expect(nlp.requests.length).toBe(300);
    await enricher.kill();
    await world.resetToEarliest(world.groups.enricher, world.topics.events);
    enricher = await start('enricher');
    await world.caughtUp(world.groups.enricher, world.topics.events);
    await world.caughtUp(world.groups.sink, world.topics.enriched);
    expect(nlp.requests.length).toBe(600);
    expect(await sumOf(sink, 'parley_sink_dropped_total', 'kind="repeat"')).toBe(300);
    await world.expectWhole();
    expect(await world.numbers()).toEqual(numbers);
  });

  it('both groups deleted: no number changed, and what comes next is counted', async () => {
    const numbers = await world.numbers();
    await stopBoth();
    await world.deleteGroups();
    await startBoth();
    await world.caughtUp(world.groups.enricher, world.topics.events);
    await world.caughtUp(world.groups.sink, world.topics.enriched);
    expect(await world.numbers()).toEqual(numbers);
    await world.send('after groups', 60);
    await world.expectWhole();
    expect(sink.logs()).not.toContain('CLICKHOUSE_BEHIND');
  });

  it('an offset of an earlier topic of this name, beyond the end of the present one: the partition is not stopped', async () => {
    await enricher.kill();
    await world.send('behind an old offset', 30);
    const old = encodeLedger(new OffsetLedger(90_000), 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId);
    await world.commit(world.groups.enricher, world.topics.events, 1, 90_000, old);
    enricher = await start('enricher');
    await world.expectWhole();
    expect(await sumOf(enricher, 'parley_partition_stopped')).toBe(0);
  });
});

describe('chat.events deleted and made again', () => {
  /** The new topic's records are all there, and so are those of the old. */
  async function expectBoth(count: number): Promise<void> {
    const { topics } = await world.expectWhole();
    const events = topics['chat.events'];
    expect(events).toMatchObject({ events: count, missing: 0, gaps: 0 });
    // Within the second until the watch looks again a record may be taken for one of the old topic; under its own place it
    // is then the second of its message.
    expect((events?.enriched ?? 0) + (events?.duplicate_receipts ?? 0)).toBe(count);
  }

  it('is read from its start when the services were stopped meanwhile', async () => {
    await stopBoth();
    const before = await world.topicId(world.topics.events);
    await world.deleteTopic(world.topics.events);
    await startBoth();
    expect(await world.topicId(world.topics.events)).not.toBe(before);
    await world.send('stopped', 45);
    await expectBoth(45);
  });

  it('is reported as long as it is missing while they run, then read from its start', async () => {
    await world.deleteTopic(world.topics.events);
    await lineWith(enricher, 'TOPIC_MISSING');
    expect(await sumOf(enricher, 'parley_topic_missing', world.topics.events)).toBe(1);
    await world.makeTopics();
    await world.send('after a pause', 45);
    await expectBoth(45);
    expect(await sumOf(enricher, 'parley_topic_missing')).toBe(0);
  });

  it('loses nothing when it comes back at once and longer than before while they run', async () => {
    await world.deleteTopic(world.topics.events);
    await world.makeTopics();
    await world.send('at once', 600);
    await expectBoth(600);
    await lineWith(enricher, 'TOPIC_RECREATED');
    const now = await world.topicId(world.topics.events);
    const told = [...(await metric(enricher, 'parley_topic_info')).keys()];
    expect(told).toContainEqual(expect.stringContaining(`topic_id="${now}"`));
  });
});

describe('ClickHouse wiped while Kafka is kept', () => {
  const wipe = () => world.clickhouse.in('default').command(`DROP DATABASE ${names.CLICKHOUSE_DATABASE} SYNC`);
  /** Rows that had been committed before; until then `verify` would call them missing. */
  const rebuilt = (least: number) =>
    eventually(async () => expect(await sumOf(sink, 'parley_sink_rebuilt_rows_total')).toBeGreaterThanOrEqual(least));

  it('under a running sink: it ends with a code, and the next one fills it again from the log', async () => {
    await wipe();
    await world.send('meets no table', 30);
    expect((await sink.exited).code).toBe(1);
    expect(sink.logs()).toContain('"code":"CLICKHOUSE_SCHEMA"');
    sink = await start('sink');
    // All that stood there before; whatever of the last 30 had no intent yet is new.
    await rebuilt(world.acked.size - 30);
    await lineWith(sink, 'CLICKHOUSE_BEHIND');
    await world.expectWhole();
  }, 150_000);

  it('is noticed when it was made again from elsewhere: a sink that saw neither soon sees that what it inserted is gone', async () => {
    await wipe();
    await migrate(world.clickhouse, { log: testLog() });
    await world.send('into the void', 3);
    expect((await sink.exited).code).toBe(1);
    expect(sink.logs()).toContain('"code":"CLICKHOUSE_BEHIND"');
    sink = await start('sink');
    await rebuilt(world.acked.size - 3);
    await world.expectWhole();
  }, 150_000);

  it('restored from a backup: what came in since is inserted again', async () => {
    const tables = [
      'messages',
      'receipts',
      'message_keys',
      'blocks',
      'decisions',
      'rollup_sums',
      'rollup_conversations',
    ];
    const backup = `${names.CLICKHOUSE_DATABASE}_backup`;
    const run = (statement: string) => world.clickhouse.command(statement);
    await run(`CREATE DATABASE ${backup}`);
    for (const table of tables) {
      await run(`CREATE TABLE ${backup}.${table} AS ${table}`);
      await run(`INSERT INTO ${backup}.${table} SELECT * FROM ${table}`);
    }
    await world.send('after the backup', 90);
    await world.expectWhole();
    await sink.kill();
    for (const table of tables) {
      await run(`TRUNCATE TABLE ${table}`);
      await run(`INSERT INTO ${table} SELECT * FROM ${backup}.${table}`);
    }
    await run(`DROP DATABASE ${backup}`);
    sink = await start('sink');
    await rebuilt(90);
    await world.expectWhole();
    expect(await sumOf(sink, 'parley_sink_rebuilt_rows_total')).toBe(90);
  }, 150_000);
});
