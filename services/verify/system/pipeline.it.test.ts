import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ParleyClient } from '../../client/parley-client.ts';
import { systemClock } from '../../core/clock.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../../local/testing/stack.ts';
import { ensureLocalKey, tokenSigner } from '../../operator/local-token.ts';
import { type ClickHouse, createClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { createKafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../platform/kafka/read/cluster-view.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { expectExactlyOnce } from '../exactly-once.ts';
import { verifySources } from '../sources.ts';
import { type VerifyReport, verify } from '../verify.ts';
import { Bots } from './testing/bots.ts';

/**
 * The main job on real parts: bots in over WebSocket, exact numbers out of ClickHouse, whatever is killed on the way.
 */
const BOTS = 40;
const MESSAGES = 4_000;
const PARTITIONS = 6;

const names = isolation('pipeline');
let folder: string;
let keyPath: string;
let env: Record<string, string>;
let clickhouse: ClickHouse;
let view: ClusterView;

const verified = (): Promise<VerifyReport> =>
  verify(verifySources(view, clickhouse, names.TOPIC_PREFIX), { clock: systemClock, waitMs: 60_000 });

const start = async (
  name: 'gateway' | 'enricher' | 'sink',
  extra: Record<string, string> = {},
): Promise<ServiceHandle> => {
  const service = await spawnService(name, { ...env, ...extra });
  await service.ready();
  return service;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-pipeline-'));
  keyPath = join(folder, 'private.pem');
  env = { ...names, TOPIC_PARTITIONS: String(PARTITIONS), JWT_PUBLIC_KEY: await ensureLocalKey(keyPath) };
  const { kafkaBrokers, clickhouseUrl } = stack();
  clickhouse = createClickHouse({ url: clickhouseUrl, database: names.CLICKHOUSE_DATABASE, log: testLog() });
  view = await ClusterView.connect(
    createKafka({ brokers: [kafkaBrokers], clientId: 'pipeline-test', log: testLog() }),
    [kafkaBrokers],
  );
});

afterAll(async () => {
  await stopServices();
  await Promise.all([clickhouse.close(), view.close(), rm(folder, { recursive: true, force: true })]);
});

describe('the whole pipeline', () => {
  it('loses nothing and counts nothing twice while gateway, enricher and sink are killed at work', async () => {
    let [gateway, enricher, sink] = await Promise.all([start('gateway'), start('enricher'), start('sink')]);
    const bots = new Bots(await tokenSigner(keyPath));
    // A fixed port, so that the bots find the gateway again.
    const port = new URL(gateway.url).port;
    await bots.connect(gateway.url, BOTS);
    const sending = bots.send(MESSAGES, 'kill');
    const rowsAbove = (count: number) =>
      eventually(
        async () => {
          const [row] = await clickhouse.query<{ rows: number }>('SELECT count() AS rows FROM messages');
          expect(row?.rows).toBeGreaterThan(count);
        },
        { timeoutMs: 60_000 },
      );

    await rowsAbove(200);
    await Promise.all([enricher.kill('SIGKILL'), sink.kill('SIGKILL')]);
    [enricher, sink] = await Promise.all([start('enricher'), start('sink')]);
    await gateway.kill('SIGKILL');
    gateway = await start('gateway', { GATEWAY_PORT: port });
    await rowsAbove(1_500);
    await sink.kill('SIGKILL');
    sink = await start('sink');

    await sending;
    expect(bots.acked.size).toBe(MESSAGES);
    const report = await verified();
    expect(report).toMatchObject({
      ok: true,
      topics: { 'chat.events': { missing: 0, in_flight: 0, dead_lettered: 0, gaps: 0 } },
      violations: { double_receipts: 0, double_facts: 0, rollup_mismatches: 0 },
    });
    const events = report.topics['chat.events'];
    // What the gateway produced twice around its death stands in the log twice, and counts once.
    expect(events.enriched).toBe(MESSAGES);
    expect(events.events).toBe(MESSAGES + events.duplicate_receipts);
    await expectExactlyOnce(clickhouse, bots.acked);
    await bots.close();
    await Promise.all([gateway, enricher, sink].map((service) => service.kill('SIGTERM')));
  }, 240_000);

  it('the queries of docs/analytics.md run as written', async () => {
    const page = await readFile(new URL('../../../docs/analytics.md', import.meta.url), 'utf8');
    const queries = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
      block.split(/;\s*/).filter((query) => query.trim() !== ''),
    );
    expect(queries.length).toBeGreaterThanOrEqual(3);
    for (const query of queries) await clickhouse.query(query);
    const everything = "SELECT DISTINCT tenant_id FROM bot_hour WHERE tenant_id LIKE 'tenant-%'";
    expect(await clickhouse.query(everything)).toHaveLength(4);
  });

  it('counts a message once that a bot sends again to another gateway', async () => {
    const services = await Promise.all([start('gateway'), start('gateway'), start('enricher'), start('sink')]);
    const [one, two] = services as [ServiceHandle, ServiceHandle, ServiceHandle, ServiceHandle];
    const sign = await tokenSigner(keyPath);
    const token = await sign({ tenant: 'again', bot: 'again', roles: ['bot'], ttlMs: 3_600_000 });
    const message = { id: 'same', conversation_id: 'same', speaker: 'user', text: 'Did you get this?' } as const;
    for (const { url } of [one, two, one]) {
      const client = await ParleyClient.connect({ url, token });
      await client.send(message);
      await client.close();
    }
    expect((await verified()).ok).toBe(true);
    const rows = await clickhouse.query("SELECT message_id FROM messages FINAL WHERE tenant_id = 'again'");
    expect(rows).toEqual([{ message_id: 'same' }]);
    const [rollup] = await clickhouse.query<{ messages: number }>(
      "SELECT sum(messages) AS messages FROM bot_hour WHERE tenant_id = 'again'",
    );
    expect(rollup?.messages).toBe(1);
    const receipts = await clickhouse.query<{ outcome: string }>(
      "SELECT outcome FROM receipts WHERE message_id = 'same' ORDER BY outcome",
    );
    // The first gateway still knew it and acked it without producing; the second could not know.
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['duplicate', 'enriched']);
    await Promise.all(services.map((service) => service.kill('SIGTERM')));
  }, 120_000);
});
