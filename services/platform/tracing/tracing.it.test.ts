import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ParleyClient } from '../../client/parley-client.ts';
import { eventually } from '../../core/testing/eventually.ts';
import {
  freePort,
  isolation,
  type ServiceHandle,
  type ServiceName,
  spawnService,
  stack,
  stopServices,
} from '../../local/testing/stack.ts';
import { ensureLocalKey, localKeyPath, tokenSigner } from '../../operator/local-token.ts';
import { type ClickHouse, createClickHouse } from '../clickhouse/clickhouse.ts';
import { createKafka } from '../kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../kafka/produce/batch-producer.ts';
import { topicNames } from '../kafka/topics.ts';
import { Metrics } from '../metrics.ts';
import { OtlpReceiver, type ReceivedSpan } from '../testing/otlp-receiver.ts';
import { TopicLog, testLog } from '../testing/topic-log.ts';

/**
 * Traces through the real services, with a receiver of the test's own where a collector would be: what the collector
 * gets to know of a message, and what the services do when there is none to listen.
 */
const names = isolation('tracing');
const topics = topicNames(names.TOPIC_PREFIX);
const SECRETS = { text: 'sesame-open-5517', user: 'user-8142' };
const DRAIN = 'SIGTERM';

let folder: string;
let token: string;
let env: Record<string, string>;
let clickhouse: ClickHouse;
let collector: OtlpReceiver;
const clients: ParleyClient[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-tracing-'));
  const keyPath = localKeyPath(folder);
  env = {
    ...names,
    JWT_PUBLIC_KEY: await ensureLocalKey(keyPath),
    TOPIC_PARTITIONS: '2',
    // All messages, and at once, so that nobody waits for five seconds.
    OTEL_TRACES_SAMPLER: 'parentbased_always_on',
    OTEL_BSP_SCHEDULE_DELAY: '50',
    // Each message asks the API.
    NLP_CACHE_BYTES: '0',
  };
  const sign = await tokenSigner(keyPath);
  token = await sign({ tenant: 'acme', bot: 'helper', roles: ['bot'], ttlMs: 3_600_000 });
  clickhouse = createClickHouse({ url: stack().clickhouseUrl, database: names.CLICKHOUSE_DATABASE, log: testLog() });
  collector = await OtlpReceiver.listen();
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await stopServices();
  await collector.close();
  await clickhouse.command(`DROP DATABASE IF EXISTS ${names.CLICKHOUSE_DATABASE}`);
  await clickhouse.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(name: ServiceName, more: Record<string, string> = {}): Promise<ServiceHandle> {
  const service = await spawnService(name, { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...more });
  await service.ready({ timeoutMs: 90_000 });
  return service;
}

async function connect(gateway: ServiceHandle): Promise<ParleyClient> {
  const client = await ParleyClient.connect({ url: gateway.url, token });
  clients.push(client);
  return client;
}

const send = (client: ParleyClient, id: string) =>
  client.send({ id, conversation_id: 'c1', speaker: 'user', text: `${SECRETS.text} ${id}`, user_id: SECRETS.user });

const rows = async (like: string): Promise<number> => {
  const [row] = await clickhouse.query<{ n: number }>(
    'SELECT uniqExact(message_id) AS n FROM messages FINAL WHERE message_id LIKE {like:String}',
    { params: { like } },
  );
  return Number(row?.n);
};

const of = (messageId: string): readonly ReceivedSpan[] => {
  const root = collector.spans.find(({ attributes, parentSpanId }) => {
    return parentSpanId === '' && attributes['parley.message_id'] === messageId;
  });
  return root ? collector.spans.filter(({ traceId }) => traceId === root.traceId) : [];
};

/** The trace of a message once it ends in ClickHouse. */
const completeTrace = (messageId: string) =>
  eventually(() => {
    const spans = of(messageId);
    const last = ['INSERT ingest', `process ${topics.enriched}`, `process ${topics.events}`];
    expect(spans.map(({ name }) => name)).toEqual(expect.arrayContaining(last));
    return new Map(spans.map((span): [string, ReceivedSpan] => [span.name, span]));
  });

describe('with a collector', () => {
  let client: ParleyClient;
  let enricher: ServiceHandle;

  beforeAll(async () => {
    const [gateway, worker] = await Promise.all([
      start('gateway', { GATEWAY_WORKERS: '2' }),
      start('enricher'),
      start('sink'),
    ]);
    client = await connect(gateway as ServiceHandle);
    enricher = worker as ServiceHandle;
  }, 120_000);

  it('one message is one trace, from its frame to its row', async () => {
    await send(client, 'whole-1');
    const spans = await completeTrace('whole-1');
    const tree = [...spans.values()].map(({ name, service, kind, parentSpanId }) => {
      const parent = [...spans.values()].find(({ spanId }) => spanId === parentSpanId);
      return [name, service, kind, parent?.name];
    });
    const { events, enriched } = topics;
    expect(tree.sort()).toEqual(
      [
        [`send ${events}`, 'parley-gateway', 'producer', undefined],
        [`process ${events}`, 'parley-enricher', 'consumer', `send ${events}`],
        ['POST /v1/analyze', 'parley-enricher', 'client', `process ${events}`],
        [`send ${enriched}`, 'parley-enricher', 'producer', `process ${events}`],
        [`process ${enriched}`, 'parley-sink', 'consumer', `send ${enriched}`],
        ['INSERT ingest', 'parley-sink', 'client', `process ${enriched}`],
      ].sort(),
    );
    expect(spans.get(`process ${events}`)).toMatchObject({
      failed: false,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.destination.name': events,
        'messaging.destination.partition.id': expect.stringMatching(/^[01]$/),
        'messaging.kafka.offset': 0,
        'messaging.consumer.group.name': `${names.TOPIC_PREFIX}parley.enricher`,
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'parley.message_id': 'whole-1',
        'parley.outcome': 'enriched',
        'parley.provisional': false,
        'parley.attempts': 1,
        'parley.cache_hit': false,
      },
    });
    expect(spans.get(`process ${events}`)?.events.map(({ name }) => name)).toEqual(['started', 'permit']);
    expect(spans.get('POST /v1/analyze')?.attributes).toMatchObject({
      'http.response.status_code': 200,
      'server.port': Number(new URL(stack().nlpUrl).port),
    });
    expect(spans.get('INSERT ingest')?.attributes).toMatchObject({ 'messaging.batch.message_count': 1 });
    expect(spans.get(`process ${enriched}`)?.attributes).toMatchObject({ 'parley.verdict': 'first' });
    // The gateway's span is over with Kafka's ack, whatever follows.
    for (const span of spans.values()) expect(span.endMs).toBeGreaterThanOrEqual(span.startMs);
    expect(await rows('whole-1')).toBe(1);
  });

  it('messages of one session have traces of their own, and a block in common', async () => {
    const ids = Array.from({ length: 10 }, (_, n) => `many-${n}`);
    await Promise.all(ids.map((id) => send(client, id)));
    await eventually(() => {
      for (const id of ids) expect(of(id).map(({ name }) => name)).toContain(`process ${topics.enriched}`);
    });
    expect(new Set(ids.map((id) => of(id)[0]?.traceId)).size).toBe(10);
    const processes = ids.map((id) => of(id).find(({ name }) => name === `process ${topics.enriched}`) as ReceivedSpan);
    const inserts = collector.spans.filter(({ name }) => name === 'INSERT ingest');
    for (const { spanId, links } of processes) {
      const insert = inserts.find((each) => each.spanId === links[0]?.spanId || each.parentSpanId === spanId);
      const linked = insert?.links.map((link) => link.spanId) ?? [];
      expect([...linked, insert?.parentSpanId]).toContain(spanId);
    }
  });

  it('none of it holds a text, a user or a token', async () => {
    await completeTrace('whole-1');
    const everything = collector.bodies.map((body) => body.toString('latin1')).join();
    expect(everything).toContain('whole-1');
    for (const secret of [SECRETS.text, SECRETS.user, token, token.split('.')[2] ?? '?']) {
      expect(everything.includes(secret)).toBe(false);
    }
  });

  it('a message that is not drawn leaves nothing, though it comes through', async () => {
    const gateway = await start('gateway', { OTEL_TRACES_SAMPLER_ARG: '0', OTEL_TRACES_SAMPLER: 'traceidratio' });
    const silent = await connect(gateway);
    await Promise.all(Array.from({ length: 50 }, (_, n) => send(silent, `silent-${n}`)));
    await eventually(async () => expect(await rows('silent-%')).toBe(50));
    const before = collector.spans.length;
    await send(client, 'after-silence');
    await completeTrace('after-silence');
    const told = collector.spans.filter(({ attributes }) =>
      String(attributes['parley.message_id']).startsWith('silent'),
    );
    expect(told).toEqual([]);
    // Six spans of the one message, and none of the fifty before.
    expect(collector.spans.slice(before).every(({ traceId }) => of('after-silence')[0]?.traceId === traceId)).toBe(
      true,
    );
    expect(await gateway.kill(DRAIN)).toMatchObject({ code: 0 });
  });

  it('a poisonous record is traced to chat.dlq, which keeps its context; the log names the trace', async () => {
    const kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'tracing-test', log: testLog() });
    const producer = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('test') });
    const dlq = await TopicLog.follow(kafka, topics.dlq);
    const traceId = 'c0ffee'.padEnd(32, '1');
    const traceparent = `00-${traceId}-${'d'.repeat(16)}-01`;
    await producer.send({
      topic: topics.events,
      partition: 1,
      key: 'k',
      value: Buffer.from('poison'),
      headers: { traceparent },
    });
    await eventually(() => expect(dlq.records).toHaveLength(1));
    expect(dlq.records[0]?.headers['traceparent']?.toString()).toBe(traceparent);
    const byName = await eventually(() => {
      const found = new Map(
        collector.spans.filter((span) => span.traceId === traceId).map((span) => [span.name, span]),
      );
      const expected = ['INSERT ingest', `process ${topics.events}`, `send ${topics.dlq}`, `send ${topics.enriched}`];
      expect([...found.keys()]).toEqual(expect.arrayContaining(expected));
      return found;
    });
    expect(byName.get(`process ${topics.events}`)).toMatchObject({
      failed: true,
      parentSpanId: 'd'.repeat(16),
      attributes: { 'error.type': 'undecodable', 'parley.outcome': 'dead_lettered' },
    });
    const line =
      enricher
        .logs()
        .split('\n')
        .find((each) => each.includes('a record is dead-lettered')) ?? '{}';
    expect(JSON.parse(line)).toMatchObject({ reason: 'undecodable', trace_id: traceId });
    await Promise.all([producer.close(), dlq.close()]);
  });
});

describe('with a collector that does not work', () => {
  const count = (text: string, part: string) => text.split(part).length - 1;
  const DOWN = 'the collector takes no spans';
  const messages = 300;

  /** Sends, drains all services one after another, and gives their logs. */
  async function through(run: string, more: Record<string, string>): Promise<string[]> {
    await stopServices();
    const services = await Promise.all([start('gateway', more), start('enricher', more), start('sink', more)]);
    const [gateway, enricher, sink] = services;
    const client = await connect(gateway as ServiceHandle);
    await Promise.all(Array.from({ length: messages }, (_, n) => send(client, `${run}-${n}`)));
    await eventually(async () => expect(await rows(`${run}-%`)).toBe(messages), { timeoutMs: 60_000 });
    for (const service of [gateway, enricher, sink]) expect(await service?.kill(DRAIN)).toMatchObject({ code: 0 });
    return services.map((service) => service.logs());
  }

  /** From the first word of a drain to the last, by the log's own times. */
  function drainMs(log: string): number {
    const at = (part: string) => {
      const line = log.split('\n').find((each) => each.includes(part));
      return Date.parse((JSON.parse(line ?? '{}') as { time: string }).time);
    };
    return at('has stopped"') - at('drains"');
  }

  it('none that is away loses a message; its absence is told once', async () => {
    const logs = await through('away', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      // The exporter tries again for so long before it tells of it.
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    });
    for (const log of logs) expect([count(log, 'messages are traced'), count(log, DOWN)]).toEqual([1, 1]);
  }, 120_000);

  it('none that refuses does, and each service says so once', async () => {
    collector.mood = 'refuses';
    const logs = await through('refused', {});
    collector.mood = 'takes';
    for (const log of logs) expect(count(log, DOWN)).toBe(1);
  }, 120_000);

  it('none that says nothing does, nor holds it the end of a service', async () => {
    collector.mood = 'hangs';
    const logs = await through('hung', { OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50' });
    collector.mood = 'takes';
    // The exporter itself would give up after ten seconds.
    for (const log of logs) expect(drainMs(log)).toBeLessThan(10_000);
  }, 120_000);
});
