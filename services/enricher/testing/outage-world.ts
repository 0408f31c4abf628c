import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { type ServiceHandle, spawnService, stack } from '../../local/testing/stack.ts';
import { type ClickHouse, createClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { readInstanceFiles } from '../../platform/instance-file.ts';
import type { Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../platform/kafka/read/cluster-view.ts';
import { KafkaAdmin } from '../../platform/kafka/testing/kafka-admin.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { expectExactlyOnce } from '../../verify/exactly-once.ts';
import { verifySources } from '../../verify/sources.ts';
import { type VerifyReport, verify } from '../../verify/verify.ts';
import { type Bench, openBench } from './bench.ts';

const run = promisify(execFile);
const CLI = join(import.meta.dirname, '../../cli/main.ts');

/** Quick to see that the API is down, and that it is back; slow to take a busy machine for an outage. */
const QUICK = {
  NLP_TIMEOUT_MS: '2000',
  NLP_HALF_OPEN_AFTER_MS: '2100',
  NLP_BACKOFF_BASE_MS: '10',
  NLP_BACKOFF_CAP_MS: '200',
  NLP_BREAKER_WINDOW_MS: '1000',
  NLP_MAX_RETRIES: '2',
};

/** An enricher under test; its admin address is known whether it is ready or not. */
export interface TestedEnricher {
  readonly service: ServiceHandle;
  readonly adminUrl: string;
}

interface MessageRow {
  readonly message_id: string;
  readonly outcome: string;
  readonly reason: string;
  readonly revision: number;
}

/** An enricher between a scripted NLP API and the real sink: what a test of an outage drives and looks at. */
export class OutageWorld {
  readonly at: Bench;
  readonly clickhouse: ClickHouse;
  readonly #kafka: Kafka;
  readonly #view: ClusterView;
  readonly #dataDir: string;
  /** Every message that was produced. */
  readonly ids = new Set<string>();

  private constructor(at: Bench, clickhouse: ClickHouse, kafka: Kafka, view: ClusterView, dataDir: string) {
    this.at = at;
    this.clickhouse = clickhouse;
    this.#kafka = kafka;
    this.#view = view;
    this.#dataDir = dataDir;
  }

  static async create(kafka: Kafka, name: string): Promise<OutageWorld> {
    const at = await openBench(kafka, name);
    const { clickhouseUrl, kafkaBrokers } = stack();
    const database = at.env['CLICKHOUSE_DATABASE'] as string;
    const clickhouse = createClickHouse({ url: clickhouseUrl, database, log: testLog() });
    const view = await ClusterView.connect(kafka, [kafkaBrokers]);
    const world = new OutageWorld(at, clickhouse, kafka, view, await mkdtemp(join(tmpdir(), 'parley-outage-')));
    const sink = await spawnService('sink', at.env);
    await sink.ready();
    return world;
  }

  async enricher(env: Record<string, string> = {}): Promise<TestedEnricher> {
    const PARLEY_RUN_DIR = join(this.#dataDir, 'run');
    const service = await spawnService('enricher', { ...this.at.env, ...QUICK, PARLEY_RUN_DIR, ...env });
    // Up, whatever its dependencies are.
    return await eventually(async () => {
      const instance = (await readInstanceFiles(PARLEY_RUN_DIR)).find(({ pid }) => pid === service.pid);
      if (!instance) throw new Error(`the enricher is not up: ${service.logs()}`);
      return { service, adminUrl: instance.admin_url };
    });
  }

  /** Lets the broker refuse what is written to a topic, or take it again. */
  async refuseWrites(topic: string, refuse: boolean): Promise<void> {
    const settings = { 'max.message.bytes': refuse ? '1' : '16777216' };
    await KafkaAdmin.use(this.#kafka, (admin) => admin.replaceSettings(topic, settings));
  }

  async parley<T>(...args: string[]): Promise<T> {
    const { kafkaBrokers, clickhouseUrl, registryUrl } = stack();
    const env = {
      ...process.env,
      ...this.at.env,
      KAFKA_BROKERS: kafkaBrokers,
      CLICKHOUSE_URL: clickhouseUrl,
      SCHEMA_REGISTRY_URL: registryUrl,
      PARLEY_DATA_DIR: this.#dataDir,
    };
    // Exit code 1 comes with a document too.
    const { stdout } = await run(process.execPath, [CLI, ...args, '--json'], { env }).catch(
      (error: unknown) => error as { stdout: string },
    );
    return JSON.parse(stdout) as T;
  }

  /** Nothing missing, nothing twice, every rollup equal to a recount. */
  async expectExact(): Promise<VerifyReport> {
    const report = await verify(verifySources(this.#view, this.clickhouse, this.at.env['TOPIC_PREFIX'] as string), {
      clock: systemClock,
      waitMs: 60_000,
    });
    expect(report).toMatchObject({
      ok: true,
      topics: {
        'chat.events': { missing: 0, in_flight: 0, gaps: 0 },
        'chat.replay': { missing: 0, in_flight: 0, gaps: 0 },
      },
    });
    await expectExactlyOnce(this.clickhouse, this.ids);
    return report;
  }

  rows(): Promise<MessageRow[]> {
    return this.clickhouse.query('SELECT message_id, outcome, reason, revision FROM messages FINAL');
  }

  async close(): Promise<void> {
    await Promise.all([
      this.clickhouse.close(),
      this.#view.close(),
      rm(this.#dataDir, { recursive: true, force: true }),
    ]);
  }
}

/** One number of an enricher's /metrics, added up over all series that have the label. */
export async function metricOf({ adminUrl }: TestedEnricher, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*${label}[^}]*\\})? (\\S+)$`, 'gm'))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}
