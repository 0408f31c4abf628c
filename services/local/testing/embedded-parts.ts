import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_CACHE_DIR, folders } from '../folders.ts';
import { ensureJars } from '../jars.ts';
import { kafkaPart } from '../parts/kafka.ts';
import { nodeServicePart } from '../parts/node-service.ts';
import type { ProcessPart } from '../parts/part.ts';
import { httpProbe } from '../parts/probes.ts';
import { registryPart } from '../parts/registry.ts';
import { freePort } from '../ports.ts';

/** Addresses of the real parts that integration tests share. */
export interface StackAddresses {
  readonly kafkaBrokers: string;
  readonly registryUrl: string;
  readonly clickhouseUrl: string;
  readonly nlpUrl: string;
  readonly nlpAdminUrl: string;
}

export interface EmbeddedParts {
  /** A temporary data folder of their own. */
  readonly dataDir: string;
  readonly addresses: StackAddresses;
  /** `kafka`, `registry`, `clickhouse`, `nlp`. */
  readonly parts: readonly ProcessPart[];
}

/** Kafka, registry, ClickHouse endpoint and NLP (without added latency unless `nlpEnv` asks for some) on free ports. */
export async function embeddedParts(
  report: (line: string) => void,
  nlpEnv: Readonly<Record<string, string>> = {},
): Promise<EmbeddedParts> {
  const jars = await ensureJars({
    cacheDir: process.env['PARLEY_CACHE_DIR'] ?? DEFAULT_CACHE_DIR,
    env: process.env,
    report,
  });
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-test-'));
  const { kafka, clickhouse, run } = folders(dataDir);
  const ports = await distinctPorts();
  const addresses: StackAddresses = {
    kafkaBrokers: `127.0.0.1:${ports.kafka}`,
    registryUrl: `http://127.0.0.1:${ports.registry}/apis/ccompat/v7`,
    clickhouseUrl: `http://127.0.0.1:${ports.clickhouse}`,
    nlpUrl: `http://127.0.0.1:${ports.nlp}`,
    nlpAdminUrl: `http://127.0.0.1:${ports.nlpAdmin}`,
  };
  const parts = [
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
      env: { ...nlpEnv, NLP_PORT: String(ports.nlp), ADMIN_PORT: String(ports.nlpAdmin) },
    }),
  ];
  return { dataDir, addresses, parts };
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
