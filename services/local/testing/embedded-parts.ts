import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../platform/free-port.ts';
import { DEFAULT_CACHE_DIR, folders } from '../folders.ts';
import { ensureJars } from '../jars.ts';
import { kafkaClusterParts, kafkaPart } from '../parts/kafka.ts';
import type { SecuredListener } from '../parts/kafka-properties.ts';
import { nodeServicePart } from '../parts/node-service.ts';
import type { ProcessPart } from '../parts/part.ts';
import { httpProbe } from '../parts/probes.ts';
import { registryPart } from '../parts/registry.ts';
import { CLUSTER_HEAP } from './kafka-cluster.ts';

/** Addresses of the real parts that integration tests share. */
export interface StackAddresses {
  /** Comma-separated. */
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
  /** `kafka` (or `kafka-1`, …), `registry`, `clickhouse`, `nlp`. */
  readonly parts: readonly ProcessPart[];
}

export interface EmbeddedOptions {
  /** Variables of the NLP API, which adds no latency unless they ask for some. */
  readonly nlpEnv?: Readonly<Record<string, string>>;
  /** 1 by default. */
  readonly brokers?: number;
  /** The names of the parts that are wanted; all by default. */
  readonly only?: readonly string[];
  /** A second listener of a single broker, which asks clients who they are. */
  readonly secured?: SecuredListener;
}

/** Kafka, registry, ClickHouse endpoint and NLP on free ports. */
export async function embeddedParts(
  report: (line: string) => void,
  { nlpEnv = {}, brokers = 1, only, secured }: EmbeddedOptions = {},
): Promise<EmbeddedParts> {
  const jars = await ensureJars({
    cacheDir: process.env['PARLEY_CACHE_DIR'] ?? DEFAULT_CACHE_DIR,
    env: process.env,
    report,
  });
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-test-'));
  const { kafka, clickhouse, run } = folders(dataDir);
  const ports = await distinctPorts();
  const brokerPorts = await Promise.all(Array.from({ length: brokers }, () => freePort()));
  const addresses: StackAddresses = {
    kafkaBrokers: brokerPorts.map((port) => `127.0.0.1:${port}`).join(','),
    registryUrl: `http://127.0.0.1:${ports.registry}/apis/ccompat/v7`,
    clickhouseUrl: `http://127.0.0.1:${ports.clickhouse}`,
    nlpUrl: `http://127.0.0.1:${ports.nlp}`,
    nlpAdminUrl: `http://127.0.0.1:${ports.nlpAdmin}`,
  };
  const broker = { jars: jars.kafka, archive: jars.archives.kafka, dataDir: kafka };
  const [onlyPort = 0] = brokerPorts;
  const parts = [
    ...(brokers === 1
      ? [kafkaPart({ ...broker, port: onlyPort, heap: '512m', ...(secured && { secured }) })]
      : kafkaClusterParts({ ...broker, ports: brokerPorts, heap: CLUSTER_HEAP })),
    registryPart({
      jar: jars.registry,
      archive: jars.archives.registry,
      port: ports.registry,
      kafkaBrokers: addresses.kafkaBrokers,
      embeddedBrokers: brokers,
    }),
    nodeServicePart({
      name: 'clickhouse',
      folder: 'clickhouse',
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
  return { dataDir, addresses, parts: only ? parts.filter(({ name }) => only.includes(name)) : parts };
}

async function distinctPorts() {
  const [registry, clickhouse, nlp, nlpAdmin] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  return { registry, clickhouse, nlp, nlpAdmin };
}
