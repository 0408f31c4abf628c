import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_CACHE_DIR, folders } from '../folders.ts';
import { ensureJars } from '../jars.ts';
import { kafkaPart } from '../parts/kafka.ts';
import { nodeServicePart } from '../parts/node-service.ts';
import { httpProbe } from '../parts/probes.ts';
import { registryPart } from '../parts/registry.ts';
import { freePort } from '../ports.ts';
import { Supervisor } from '../supervisor.ts';

/** Addresses of the real parts that integration tests share. */
export interface StackAddresses {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  readonly clickhouseUrl: string;
  readonly nlpUrl: string;
  readonly nlpAdminUrl: string;
}

export interface TestStack {
  /** JSON file with the {@link StackAddresses}, for other processes: the value of `PARLEY_TEST_STACK`. */
  readonly file: string;
  readonly stop: () => Promise<void>;
}

/** Kafka, registry, ClickHouse endpoint and NLP (without added latency) on free ports, in a temporary data folder. */
export async function startTestStack(report: (line: string) => void): Promise<TestStack> {
  const jars = await ensureJars({
    cacheDir: process.env['PARLEY_CACHE_DIR'] ?? DEFAULT_CACHE_DIR,
    env: process.env,
    report,
  });
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-test-'));
  const { kafka, clickhouse, run, logs, pids } = folders(dataDir);
  const ports = await distinctPorts();
  const addresses: StackAddresses = {
    kafkaBrokers: `127.0.0.1:${ports.kafka}`,
    registryUrl: `http://127.0.0.1:${ports.registry}/apis/ccompat/v7`,
    clickhouseUrl: `http://127.0.0.1:${ports.clickhouse}`,
    nlpUrl: `http://127.0.0.1:${ports.nlp}`,
    nlpAdminUrl: `http://127.0.0.1:${ports.nlpAdmin}`,
  };
  const supervisor = new Supervisor({
    logDir: logs,
    pidDir: pids,
    env: process.env,
    emit: () => {},
    parts: [
      kafkaPart({ jars: jars.kafka, archive: jars.archives.kafka, dataDir: kafka, port: ports.kafka, heap: '512m' }),
      registryPart({
        jar: jars.registry,
        archive: jars.archives.registry,
        port: ports.registry,
        kafkaBrokers: addresses.kafkaBrokers,
        kafkaEmbedded: true,
      }),
      nodeServicePart({
        name: 'clickhouse',
        folder: 'local/clickhouse',
        needs: [],
        runDir: run,
        env: { CLICKHOUSE_HTTP_PORT: String(ports.clickhouse), CLICKHOUSE_DATA_DIR: clickhouse, ADMIN_PORT: '0' },
        ready: httpProbe(`${addresses.clickhouseUrl}/ping`),
      }),
      nodeServicePart({
        name: 'nlp',
        folder: 'nlp',
        needs: [],
        runDir: run,
        env: { NLP_PORT: String(ports.nlp), ADMIN_PORT: String(ports.nlpAdmin) },
      }),
    ],
  });
  const remove = () => rm(dataDir, { recursive: true, force: true });
  await supervisor.start().catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const file = join(dataDir, 'stack.json');
  await writeFile(file, JSON.stringify(addresses));
  return {
    file,
    stop: async () => {
      await supervisor.stop();
      await remove();
    },
  };
}

async function distinctPorts() {
  const [kafka, registry, clickhouse, nlp, nlpAdmin] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  return { kafka, registry, clickhouse, nlp, nlpAdmin };
}
