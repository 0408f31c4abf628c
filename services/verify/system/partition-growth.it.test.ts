import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../../local/testing/stack.ts';
import { ensureLocalKey, tokenSigner } from '../../operator/local-token.ts';
import { type ClickHouse, createClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { createKafka, type Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../platform/kafka/read/cluster-view.ts';
import { KafkaAdmin } from '../../platform/kafka/testing/kafka-admin.ts';
import { topicNames } from '../../platform/kafka/topics.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { expectExactlyOnce } from '../exactly-once.ts';
import { verifySources } from '../sources.ts';
import { verify } from '../verify.ts';
import { Bots } from './testing/bots.ts';

/** docs/adr/0017-growing-partitions.md: three topics grow in any order, under load, and no service restarts. */
const [PARTITIONS, GROWN] = [6, 12];
const BOTS = 20;
const names = isolation('growth');
const topics = topicNames(names.TOPIC_PREFIX);
/** Printed, so that a failure can be repeated. */
const order = [topics.events, topics.dlq, topics.replay]
  .map((topic) => ({ topic, at: Math.random() }))
  .sort((a, b) => a.at - b.at)
  .map(({ topic }) => topic);

let folder: string;
let env: Record<string, string>;
let kafka: Kafka;
let clickhouse: ClickHouse;
let view: ClusterView;
let services: readonly ServiceHandle[];

async function start(name: 'gateway' | 'enricher' | 'sink'): Promise<ServiceHandle> {
  const service = await spawnService(name, env);
  await service.ready();
  return service;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-growth-'));
  const key = await ensureLocalKey(join(folder, 'private.pem'));
  env = { ...names, TOPIC_PARTITIONS: String(PARTITIONS), JWT_PUBLIC_KEY: key };
  const { kafkaBrokers, clickhouseUrl } = stack();
  kafka = createKafka({ brokers: [kafkaBrokers], clientId: 'growth-test', log: testLog() });
  clickhouse = createClickHouse({ url: clickhouseUrl, database: names.CLICKHOUSE_DATABASE, log: testLog() });
  view = await ClusterView.connect(kafka, [kafkaBrokers]);
  services = await Promise.all([start('gateway'), start('gateway'), start('enricher'), start('sink')]);
}, 120_000);

afterAll(async () => {
  await stopServices();
  await Promise.all([clickhouse.close(), view.close(), rm(folder, { recursive: true, force: true })]);
});

const recordsAbove = async (partition: number) =>
  (await view.logRanges(topics.events)).reduce(
    (sum, range) => (range.partition < partition ? sum : sum + range.end),
    0,
  );

describe('partitions that are added under load', () => {
  it(`are used once all three topics have them, with nothing lost, doubled or restarted (${order.join(', ')})`, async () => {
    const admin = await KafkaAdmin.connect(kafka);
    const bots = new Bots(await tokenSigner(join(folder, 'private.pem')));
    for (const gateway of services.slice(0, 2)) await bots.connect(gateway.url, BOTS);
    let running = true;
    const sending = (async () => {
      for (let round = 0; running; round++) await bots.send(200, `round-${round}`);
    })();
    await eventually(() => expect(bots.acked.size).toBeGreaterThan(200), { timeoutMs: 60_000 });
    for (const topic of order) {
      expect(await recordsAbove(PARTITIONS)).toBe(0);
      await admin.grow(topic, GROWN);
      const before = bots.acked.size;
      // Two looks of each gateway fit in between.
      await eventually(() => expect(bots.acked.size).toBeGreaterThan(before + 400), { timeoutMs: 60_000 });
    }
    await eventually(async () => expect(await recordsAbove(PARTITIONS)).toBeGreaterThan(200), { timeoutMs: 60_000 });
    running = false;
    await sending;
    await bots.close();
    await admin.close();
    const sources = verifySources(view, clickhouse, names.TOPIC_PREFIX);
    const report = await verify(sources, { clock: systemClock, waitMs: 120_000 });
    expect(report).toMatchObject({ ok: true });
    await expectExactlyOnce(clickhouse, bots.acked);
    for (const { name, logs } of services) {
      if (name.startsWith('gateway')) expect(logs()).toMatch(/"was":6,"is":12/);
    }
    const ended = await Promise.race([Promise.any(services.map(({ exited }) => exited)), 'all run']);
    expect(ended).toBe('all run');
  }, 300_000);
});
