import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  isolation,
  type ServiceHandle,
  type ServiceName,
  spawnService,
  stack,
  stopServices,
} from '../local/testing/stack.ts';
import { ensureLocalKey, localKeyPath } from '../operator/local-token.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { createLogger } from '../platform/logger.ts';
import type { VerifyReport } from '../verify/verify.ts';
import { runCli } from './program.ts';
import type { SendReport } from './send/report.ts';

/** The commands as a newcomer uses them, on a gateway, an enricher and a sink of this file's own. */
const names = isolation('pipeline');
let dataDir: string;
let clickhouse: ClickHouse;
let serviceEnv: Record<string, string>;

const environment = () => ({
  ...names,
  KAFKA_BROKERS: stack().kafkaBrokers,
  CLICKHOUSE_URL: stack().clickhouseUrl,
  PARLEY_DATA_DIR: dataDir,
});

async function parley<T>(...args: string[]): Promise<{ code: number; document: T; err: string }> {
  let [out, err] = ['', ''];
  const code = await runCli(
    [...args, '--json'],
    { env: environment(), signal: new AbortController().signal },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  // Throws unless stdout holds exactly one JSON document.
  return { code, document: JSON.parse(out) as T, err };
}

async function start(name: ServiceName): Promise<ServiceHandle> {
  const service = await spawnService(name, serviceEnv);
  await service.ready({ timeoutMs: 90_000 });
  return service;
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'parley-pipeline-'));
  serviceEnv = {
    ...names,
    JWT_PUBLIC_KEY: await ensureLocalKey(localKeyPath(dataDir)),
    PARLEY_RUN_DIR: join(dataDir, 'run'),
    TOPIC_PARTITIONS: '4',
    // A second stands for half an hour: what the gateway and the sink remember without asking ClickHouse.
    DEDUP_WINDOW_MS: '1000',
    SINK_DUPLICATE_WINDOW_MS: '1000',
  };
  const log = createLogger('pipeline-test', 'silent');
  clickhouse = createClickHouse({ url: stack().clickhouseUrl, database: names.CLICKHOUSE_DATABASE, log });
});

afterAll(async () => {
  await stopServices();
  await clickhouse.command(`DROP DATABASE IF EXISTS ${names.CLICKHOUSE_DATABASE}`);
  await clickhouse.close();
  await rm(dataDir, { recursive: true, force: true });
});

const count = async (sql: string): Promise<number> => {
  const [row] = await clickhouse.query<{ n: number }>(`SELECT ${sql} AS n FROM messages FINAL`);
  return Number(row?.n);
};

describe('the commands on a running pipeline', () => {
  it('status says that nothing runs, then what is missing, then that all is ready', async () => {
    expect(await parley('status')).toMatchObject({ code: 1, document: { ok: false, services: [] } });
    await start('gateway');
    expect(await parley('status')).toMatchObject({
      code: 1,
      document: { services: [{ name: 'gateway', ready: true }], not_running: ['enricher', 'sink'] },
    });
    await Promise.all([start('enricher'), start('sink')]);
    const { code, document } = await parley<{ services: { name: string; ready: boolean; dependencies: object }[] }>(
      'status',
    );
    expect(code).toBe(0);
    expect(document.services.map(({ name, ready }) => [name, ready])).toEqual([
      ['enricher', true],
      ['gateway', true],
      ['sink', true],
    ]);
    expect(Object.keys(document.services[2]?.dependencies ?? {})).toContain('clickhouse');
  }, 120_000);

  it('send streams conversations in, and a second run with the same id adds nothing', async () => {
    const args = ['send', '--demo', '--bots', '20', '--tenants', '3', '--limit', '500', '--run-id', 'twice'];
    const first = await parley<SendReport>(...args);
    expect(first).toMatchObject({
      code: 0,
      document: { sent: 500, acked: 500, refused: {}, ack_latency_ms: { count: 500 } },
    });
    expect(await parley<SendReport>(...args)).toMatchObject({ code: 0, document: { sent: 500, acked: 500 } });
    expect(await parley<VerifyReport>('verify', '--wait', '60s')).toMatchObject({ code: 0, document: { ok: true } });
    expect(await count('uniqExact(message_id)')).toBe(500);
    expect(await count('count()')).toBe(500);
    expect(await count('uniqExact(tenant_id)')).toBe(3);
  });

  it('send adds nothing when it is run again under the same id hours later, after other messages', async () => {
    const args = ['send', '--demo', '--bots', '20', '--tenants', '3', '--limit', '500', '--run-id', 'twice'];
    const duplicates = () =>
      clickhouse.query("SELECT count() AS n FROM receipts WHERE outcome = 'duplicate' AND message_id LIKE 'twice-%'");
    const [before] = (await duplicates()) as { n: number }[];
    for (let round = 0; round < 3; round++) {
      await delay(1_500);
      await parley<SendReport>('send', '--demo', '--bots', '20', '--tenants', '3', '--limit', '200');
    }
    expect(await parley<SendReport>(...args)).toMatchObject({ code: 0, document: { sent: 500, acked: 500 } });
    expect(await parley<VerifyReport>('verify', '--wait', '60s')).toMatchObject({ code: 0, document: { ok: true } });
    expect(await count("countIf(message_id LIKE 'twice-%')")).toBe(500);
    expect(await duplicates()).toEqual([{ n: Number(before?.n) + 500 }]);
  }, 120_000);

  it('forget takes the words of a bot, which a resend does not bring back, and verify finds nothing', async () => {
    const [bot] = await clickhouse.query<{ tenant_id: string; bot_id: string; n: number }>(
      "SELECT tenant_id, bot_id, count() AS n FROM messages FINAL WHERE message_id LIKE 'twice-%' GROUP BY ALL ORDER BY n DESC LIMIT 1",
    );
    const words = () => count(`countIf(bot_id = '${bot?.bot_id}' AND tenant_id = '${bot?.tenant_id}' AND text != '')`);
    const all = await count('count()');
    expect(await words()).toBeGreaterThanOrEqual(Number(bot?.n));
    const forget = ['forget', '--tenant', bot?.tenant_id ?? '', '--bot', bot?.bot_id ?? '', '--yes'];
    expect(await parley(...forget)).toMatchObject({ code: 0, document: { outcome: 'done', left_rows: 0 } });
    await parley('send', '--demo', '--bots', '20', '--tenants', '3', '--limit', '500', '--run-id', 'twice');
    expect(await parley<VerifyReport>('verify', '--wait', '60s')).toMatchObject({ code: 0, document: { ok: true } });
    expect([await words(), await count('count()')]).toEqual([0, all]);
    expect(await parley('forget', '--tenant', 't', '--user', '')).toMatchObject({ code: 2 });
  });

  it('send names bad lines and refusals, sends the rest, and exits 1 unless they are allowed', async () => {
    const file = join(dataDir, 'mixed.jsonl');
    const line = (fields: object) =>
      JSON.stringify({ conversation_id: 'c1', speaker: 'user', text: 'hello', ...fields });
    await writeFile(
      file,
      [
        line({}),
        '{oops',
        line({ speaker: 'cat' }),
        line({ user_id: 'u'.repeat(129) }),
        line({ text: 'x'.repeat(9_000) }),
        line({ text: 'bye \u2028' }),
      ].join('\n'),
    );
    const found = await parley<SendReport>('send', file);
    expect(found).toMatchObject({
      code: 1,
      document: {
        sent: 4,
        acked: 2,
        refused: { invalid_field: 1, text_too_long: 1 },
        bad_lines: 2,
        left_out: [
          { reason: 'not_json', count: 1, examples: [{ file, line: 2, character: 2, found: 'o' }] },
          { reason: 'unknown_speaker', count: 1, examples: [{ line: 3 }] },
        ],
      },
    });
    expect((await parley('send', file, '--allow-refused')).code).toBe(0);
    expect(await parley('verify', '--wait', '60s')).toMatchObject({ code: 0 });
  });

  it('token writes many for tools that are not ours; the gateway takes them, and no others', async () => {
    const file = join(dataDir, 'tokens');
    expect((await parley('token', '--bots', '40', '--tenants', '4', '--out', file)).code).toBe(0);
    expect((await readFile(file, 'utf8')).trimEnd().split('\n')).toHaveLength(40);
    const args = ['send', '--demo', '--limit', '50', '--bots', '5', '--tokens', file];
    expect(await parley<SendReport>(...args)).toMatchObject({ code: 0, document: { acked: 50 } });
    await writeFile(file, 'not.a.token\n'.repeat(5));
    expect(await parley(...args)).toMatchObject({ code: 1, document: { error: { code: 'GATEWAY_UNREACHABLE' } } });
  });
});
