import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { conversationKey, partitionOf } from '../core/partitioner.ts';
import type { ChatEvent } from '../core/records.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { openRegistry } from '../platform/avro/registry-access.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../platform/kafka/produce/batch-producer.ts';
import { fetchLogRanges } from '../platform/kafka/read/log-ranges.ts';
import { LogReader } from '../platform/kafka/read/log-reader.ts';
import { fetchTopicIds } from '../platform/kafka/read/topic-ids.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { KafkaAdmin } from '../platform/kafka/testing/kafka-admin.ts';
import { ensureTopics, topicNames } from '../platform/kafka/topics.ts';
import { Metrics } from '../platform/metrics.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import type { VerifyReport } from '../verify/verify.ts';
import type { ReplayReport } from './dlq/describe-replay.ts';
import { runCli } from './program.ts';

/** An incident as an operator meets it: the real NLP API refuses some texts, and later takes them. */
const names = isolation('replay');
const topics = topicNames(names.TOPIC_PREFIX);
const PARTITIONS = 3;
const GOOD = 40;
const REFUSED = 30;
const POISON = Buffer.from('no Avro at all');

let folder: string;
let kafka: Kafka;
let codec: ChatCodec;
let producer: BatchProducer;
let clickhouse: ClickHouse;
let nlp: ServiceHandle;
let enricher: ServiceHandle;
let ids: string[];

interface Ran<T> {
  readonly code: number;
  readonly document: T;
  readonly out: string;
  readonly err: string;
}

const environment = () => ({
  ...names,
  KAFKA_BROKERS: stack().kafkaBrokers,
  CLICKHOUSE_URL: stack().clickhouseUrl,
  SCHEMA_REGISTRY_URL: stack().registryUrl,
});

interface Person {
  readonly confirm?: (question: string) => Promise<boolean>;
  readonly signal?: AbortSignal;
}

async function parley<T>(args: string[], person: Person = {}): Promise<Ran<T>> {
  let [out, err] = ['', ''];
  const code = await runCli(
    [...args, '--json'],
    { env: environment(), signal: new AbortController().signal, ...person },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { code, document: JSON.parse(out) as T, out, err };
}

const replay = (...args: string[]) => parley<ReplayReport>(['replay', '--reason', 'nlp_rejected', ...args]);
const verified = async () => (await parley<VerifyReport>(['verify', '--wait', '60s'])).document;
const replayLog = async () =>
  (await fetchLogRanges(kafka, topics.replay)).reduce((records, { start, end }) => records + end - start, 0);

async function setFaults(faults: object): Promise<void> {
  const response = await fetch(`${nlp.adminUrl}/faults`, { method: 'PUT', body: JSON.stringify(faults) });
  expect(response.status).toBe(200);
}

async function startEnricher(): Promise<ServiceHandle> {
  const service = await spawnService('enricher', {
    ...names,
    NLP_URL: nlp.url,
    TOPIC_PARTITIONS: String(PARTITIONS),
  });
  await service.ready();
  return service;
}

async function everything(topic: string): Promise<(FetchedRecord & { partition: number })[]> {
  const reader = await LogReader.connect(kafka);
  const records: (FetchedRecord & { partition: number })[] = [];
  for (const { partition, start, end } of await fetchLogRanges(kafka, topic)) {
    for await (const page of reader.read(topic, partition, start, end)) {
      for (const record of page) records.push({ ...record, partition });
    }
  }
  await reader.close();
  return records;
}

async function eventIn(value: Buffer | null): Promise<ChatEvent> {
  const decoded = await codec.decodeEvent(value);
  if (!decoded.ok) throw new Error(`an event does not decode: ${decoded.detail}`);
  return decoded.value;
}

/** Messages by outcome and revision, as the facts and as the rollups have them. */
async function numbers(): Promise<{ facts: string[]; rollup: object | undefined }> {
  const rows = await clickhouse.query<{ outcome: string; revision: number; n: number }>(
    'SELECT outcome, revision, count() AS n FROM messages FINAL GROUP BY outcome, revision ORDER BY outcome, revision',
  );
  const [rollup] = await clickhouse.query<object>(
    'SELECT sum(messages) AS messages, sum(enriched) AS enriched, sum(dead_lettered) AS dead_lettered FROM bot_hour',
  );
  return { facts: rows.map(({ outcome, revision, n }) => `${outcome} ${revision}: ${n}`), rollup };
}

async function sendMessages(): Promise<void> {
  const sending = Array.from({ length: GOOD + REFUSED }, (_, n) => {
    const refused = n < REFUSED;
    const event = sampleEvent({
      message_id: `m${n}`,
      bot_id: n % 3 === 0 ? 'one' : 'two',
      conversation_id: `c${n % 7}`,
      text: refused ? 'a forbidden word' : 'a kind word',
    });
    const key = conversationKey(event.tenant_id, event.bot_id, event.conversation_id);
    const headers = { traceparent: `trace-${n}` };
    const partition = partitionOf(key, PARTITIONS);
    return producer.send({ topic: topics.events, partition, key, value: codec.encodeEvent(event), headers });
  });
  sending.push(producer.send({ topic: topics.events, partition: 1, key: 'k', value: POISON }));
  sending.push(producer.send({ topic: topics.dlq, partition: 2, key: null, value: Buffer.from('left by a stranger') }));
  await Promise.all(sending);
  const poison = await clickhouseId();
  ids = [...Array.from({ length: GOOD + REFUSED }, (_, n) => `m${n}`), poison];
}

/** The poison's own id, once it is in ClickHouse. */
async function clickhouseId(): Promise<string> {
  expect((await verified()).ok).toBe(true);
  const rows = await clickhouse.query<{ message_id: string }>(
    "SELECT message_id FROM messages FINAL WHERE tenant_id = ''",
  );
  expect(rows).toHaveLength(1);
  return rows[0]?.message_id ?? '';
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-replay-'));
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'replay-test', log: testLog() });
  await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  codec = await ChatCodec.connect({ registry: openRegistry(stack().registryUrl), topicNames: topics });
  producer = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('test') });
  const log = testLog();
  clickhouse = createClickHouse({ url: stack().clickhouseUrl, database: names.CLICKHOUSE_DATABASE, log });
  await migrate(clickhouse, { log });
  const sink = await spawnService('sink', { ...names, TOPIC_PARTITIONS: String(PARTITIONS) });
  nlp = await spawnService('nlp');
  await Promise.all([nlp.ready(), sink.ready()]);
  await setFaults({ reject_containing: 'forbidden' });
  enricher = await startEnricher();
  await sendMessages();
}, 180_000);

afterAll(async () => {
  await stopServices();
  await producer.close();
  await clickhouse.command(`DROP DATABASE IF EXISTS ${names.CLICKHOUSE_DATABASE}`);
  await clickhouse.close();
  await rm(folder, { recursive: true, force: true });
});

interface Listed {
  readonly total: number;
  readonly by_reason: readonly { reason: string; count: number; latest: string }[];
  readonly by_bot: readonly { reason: string; bot_id: string; count: number }[];
}
const list = async (...args: string[]) => (await parley<Listed>(['dlq', 'list', ...args])).document;

describe('dead letters', () => {
  it('are counted by reason and bot, and chosen by what is known of them', async () => {
    const { total, by_reason, by_bot } = await list('--by', 'bot');
    expect(total).toBe(REFUSED + 2);
    expect(by_reason.map(({ reason, count }) => [reason, count])).toEqual([
      ['nlp_rejected', REFUSED],
      ['undecodable', 1],
      ['unknown', 1],
    ]);
    expect(
      by_bot.filter(({ reason }) => reason === 'nlp_rejected').map(({ bot_id, count }) => [bot_id, count]),
    ).toEqual([
      ['two', 20],
      ['one', 10],
    ]);
    expect(await list('--bot', 'one', '--since', '1h')).toMatchObject({ total: 10 });
    expect(await list('--to', '2020-01-01')).toMatchObject({ total: 0, by_reason: [] });
    expect(await list('--partition', '2', '--reason', 'unknown')).toMatchObject({ total: 1 });
    const groups = await KafkaAdmin.use(kafka, (admin) => admin.groups());
    const ours = groups.filter((group) => group.startsWith(names.TOPIC_PREFIX));
    expect(ours.toSorted()).toEqual(['parley.enricher', 'parley.sink'].map((name) => `${names.TOPIC_PREFIX}${name}`));
  });

  it('are shown without text unless it is asked for, with their bytes as they were', async () => {
    const { by_reason } = await list();
    const placeOf = (wanted: string) => by_reason.find(({ reason }) => reason === wanted)?.latest ?? '';
    const refused = await parley<{
      event: { message_id: string };
      failed_record: { partition: number; offset: number };
    }>(['dlq', 'show', placeOf('nlp_rejected')]);
    expect(refused).toMatchObject({
      code: 0,
      document: {
        reason: 'nlp_rejected',
        event: { tenant_id: 'acme', text_chars: 16 },
        failed_record: { topic: topics.events },
      },
    });
    expect(refused.out).not.toContain('forbidden');
    const { partition, offset } = refused.document.failed_record;
    const byOrigin = await parley(['dlq', 'show', '--origin', `${topics.events}/${partition}/${offset}`, '--text']);
    expect(byOrigin.document).toMatchObject({
      event: { message_id: refused.document.event.message_id, text: 'a forbidden word' },
    });
    const file = join(folder, 'poison');
    const poison = await parley(['dlq', 'show', placeOf('undecodable'), '--bytes', '--out', file]);
    expect(poison.document).toMatchObject({ event: null, value_base64: POISON.toString('base64') });
    expect(await readFile(file)).toEqual(POISON);
    expect(await parley(['dlq', 'show', '0/999999'])).toMatchObject({ code: 1, document: { found: false } });
  });
});

describe('parley replay', () => {
  it('makes a plan and produces nothing', async () => {
    const all = await parley<ReplayReport>(['replay']);
    expect(all).toMatchObject({
      code: 1,
      document: {
        executed: false,
        run_id: null,
        selected: REFUSED + 2,
        replay: REFUSED,
        skipped: { undecodable: 1, no_origin: 1 },
      },
    });
    expect((await parley(['replay', '--allow-skipped'])).code).toBe(0);
    expect(await replay()).toMatchObject({ code: 0, document: { selected: REFUSED, replay: REFUSED, skipped: {} } });
    const questions: string[] = [];
    const refuse = async (question: string) => questions.push(question) < 0;
    const asked = await parley<ReplayReport>(['replay', '--bot', 'one', '--execute'], { confirm: refuse });
    expect(asked).toMatchObject({ code: 0, document: { executed: false } });
    expect(questions).toEqual(['Replay 10 messages?']);
    const interrupted = ['replay', '--reason', 'nlp_rejected', '--execute', '--yes'];
    expect(await parley(interrupted, { signal: AbortSignal.abort() })).toMatchObject({
      code: 1,
      document: { executed: true, replay: 0, ended: 'interrupted' },
    });
    expect(await replayLog()).toBe(0);
  });

  it('changes no number and leaves a newer letter where a message fails again', async () => {
    expect(await replay('--execute', '--yes', '--limit', '5')).toMatchObject({
      code: 0,
      document: { executed: true, replay: 5, ended: 'limit' },
    });
    expect((await verified()).topics['chat.replay']).toMatchObject({ events: 5, dead_lettered: 5 });
    expect(await numbers()).toEqual({
      facts: ['dead_lettered 0: 26', 'dead_lettered 1: 5', `enriched 0: ${GOOD}`],
      rollup: { messages: GOOD + REFUSED + 1, enriched: GOOD, dead_lettered: REFUSED + 1 },
    });
    expect(await replay()).toMatchObject({
      document: { selected: REFUSED + 5, replay: REFUSED, skipped: { newer_letter: 5 } },
    });
  });

  it('repairs each message once, though two operators replay it at the same time', async () => {
    await setFaults({});
    await enricher.kill('SIGTERM');
    for (const operator of ['one', 'two']) {
      const { code, document } = await replay('--execute', '--yes', '--rate', '1000');
      expect([operator, code, document.replay, document.not_replayable]).toEqual([operator, 0, REFUSED, 0]);
    }
    enricher = await startEnricher();
    expect(await verified()).toMatchObject({
      ok: true,
      topics: {
        'chat.replay': { events: 65, enriched: REFUSED, dead_lettered: 5, duplicate_receipts: REFUSED, missing: 0 },
      },
    });
    expect(await numbers()).toEqual({
      facts: ['dead_lettered 0: 1', `enriched 0: ${GOOD}`, 'enriched 1: 25', 'enriched 2: 5'],
      rollup: { messages: GOOD + REFUSED + 1, enriched: GOOD + REFUSED, dead_lettered: 1 },
    });
    await expectExactlyOnce(clickhouse, ids);
  });

  it('has nothing left to do afterwards', async () => {
    const before = await numbers();
    expect(await replay('--execute', '--yes')).toMatchObject({
      code: 0,
      document: { replay: 0, skipped: { already_repaired: REFUSED + 5 }, not_replayable: 0 },
    });
    expect(await replayLog()).toBe(65);
    expect((await verified()).ok).toBe(true);
    expect(await numbers()).toEqual(before);
    await expectExactlyOnce(clickhouse, ids);
  });

  it('puts the message on chat.replay as it stood on chat.events, with its place there and the marks of the run', async () => {
    const topicId = (await fetchTopicIds(kafka, [topics.events])).get(topics.events);
    const originals = new Map(
      (await everything(topics.events)).map((record) => [`${record.partition}/${record.offset}`, record]),
    );
    const replayed = await everything(topics.replay);
    expect(replayed).toHaveLength(65);
    const runs = new Set<string | null>();
    for (const { partition, key, headers, value } of replayed) {
      const event = await eventIn(value);
      const original = originals.get(`${event.origin?.partition}/${event.origin?.offset}`);
      expect(event.origin).toMatchObject({ topic: topics.events, topic_id: topicId, partition });
      expect({ key, headers }).toEqual({ key: original?.key, headers: original?.headers });
      const { origin: _, supersedes, replay_id, replay_attempt, ...message } = event;
      expect(await eventIn(original?.value ?? null)).toMatchObject(message);
      expect(replay_attempt).toBe((supersedes ?? 0) + 1);
      runs.add(replay_id);
    }
    const audited = await clickhouse.query<{ run_id: string }>(
      'SELECT run_id FROM replay_runs FINAL WHERE replayed > 0',
    );
    expect([...runs].sort()).toEqual(audited.map(({ run_id }) => run_id).sort());
  });

  it('leaves a row a run: who asked for what, and what came of it', async () => {
    const runs = await clickhouse.query<{ outcome: string; replayed: number; selection: string; ended: number }>(
      `SELECT outcome, replayed, selection, finished_at >= started_at AS ended FROM replay_runs FINAL ORDER BY started_at`,
    );
    expect(runs.map(({ outcome, replayed, ended }) => [outcome, replayed, ended])).toEqual([
      ['interrupted', 0, 1],
      ['done', 5, 1],
      ['done', REFUSED, 1],
      ['done', REFUSED, 1],
      ['done', 0, 1],
    ]);
    expect(JSON.parse(runs[1]?.selection ?? '')).toEqual({ reasons: ['nlp_rejected'], rate: 100, limit: 5 });
  });
});
