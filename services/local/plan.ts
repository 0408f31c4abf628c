import { LOCAL_ISSUER } from '../operator/local-token.ts';
import { type LocalConfig, SPEC } from './config.ts';
import { DEFAULT_DATA_DIR, type folders } from './folders.ts';
import type { Jars } from './jars.ts';
import { kafkaClusterParts, kafkaPart } from './parts/kafka.ts';
import { nodeServicePart } from './parts/node-service.ts';
import type { ExternalPart, Part, Probe } from './parts/part.ts';
import { httpProbe, kafkaProbe } from './parts/probes.ts';
import { registryPart } from './parts/registry.ts';

/** The parts by name; several instances of one are `enricher`, `enricher-2`, … */
export const PART_NAMES = ['kafka', 'registry', 'clickhouse', 'nlp', 'gateway', 'enricher', 'sink'] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface PlanOptions {
  readonly config: LocalConfig;
  readonly paths: ReturnType<typeof folders>;
  /** Absent when neither Kafka nor the registry is embedded. */
  readonly jars: Jars | undefined;
  /** PEM of the embedded key; absent when the user gave a key of their own. */
  readonly publicKey: string | undefined;
  readonly only: readonly PartName[];
}

/** Ports of the embedded brokers. */
const brokerPorts = ({ KAFKA_NODES, KAFKA_PORT }: LocalConfig): number[] =>
  Array.from({ length: Number(KAFKA_NODES) }, (_, node) => KAFKA_PORT + node);

const isCluster = (config: LocalConfig): boolean => !config.KAFKA_BROKERS && config.KAFKA_NODES !== '1';

/** Addresses of what the services talk to: the embedded part's, or the one that was given. */
const addressesOf = (config: LocalConfig) => ({
  KAFKA_BROKERS: (config.KAFKA_BROKERS ?? brokerPorts(config).map((port) => `127.0.0.1:${port}`)).join(','),
  SCHEMA_REGISTRY_URL: config.SCHEMA_REGISTRY_URL ?? `http://127.0.0.1:${config.SCHEMA_REGISTRY_PORT}/apis/ccompat/v7`,
  CLICKHOUSE_URL: config.CLICKHOUSE_URL ?? `http://127.0.0.1:${config.CLICKHOUSE_HTTP_PORT}`,
  NLP_URL: config.NLP_URL ?? `http://127.0.0.1:${config.NLP_PORT}`,
});

/** Variables that the `parley` command needs, because an embedded part is not where it looks by default. */
export function commandSettings(config: LocalConfig, dataDir: string): Record<string, string> {
  const addresses = addressesOf(config);
  const moved = (port: 'KAFKA_PORT' | 'SCHEMA_REGISTRY_PORT' | 'CLICKHOUSE_HTTP_PORT', given: unknown) =>
    given === undefined && config[port] !== SPEC[port].default;
  return {
    ...((moved('KAFKA_PORT', config.KAFKA_BROKERS) || isCluster(config)) && { KAFKA_BROKERS: addresses.KAFKA_BROKERS }),
    ...(moved('SCHEMA_REGISTRY_PORT', config.SCHEMA_REGISTRY_URL) && {
      SCHEMA_REGISTRY_URL: addresses.SCHEMA_REGISTRY_URL,
    }),
    ...(moved('CLICKHOUSE_HTTP_PORT', config.CLICKHOUSE_URL) && { CLICKHOUSE_URL: addresses.CLICKHOUSE_URL }),
    ...(dataDir !== DEFAULT_DATA_DIR && { PARLEY_DATA_DIR: dataDir }),
  };
}

function external(
  config: LocalConfig,
  variable: ExternalPart['variable'],
  part: { name: PartName; address: string; ready: Probe },
): ExternalPart {
  return { kind: 'external', needs: [], variable, readyTimeoutMs: config.EXTERNAL_TIMEOUT_MS, ...part };
}

function embeddedBrokers(config: LocalConfig, dataDir: string, { kafka, archives }: Jars): Part[] {
  const common = { jars: kafka, archive: archives.kafka, dataDir };
  const [port = 0, ...others] = brokerPorts(config);
  return others.length === 0
    ? [kafkaPart({ ...common, port, heap: config.KAFKA_HEAP ?? '1g' })]
    : kafkaClusterParts({ ...common, ports: [port, ...others], heap: config.KAFKA_HEAP ?? '320m' });
}

function javaParts({ config, paths, jars }: PlanOptions): Part[] {
  const { KAFKA_BROKERS, SCHEMA_REGISTRY_URL } = addressesOf(config);
  const parts: Part[] = [];
  if (config.KAFKA_BROKERS) {
    const ready = kafkaProbe(config.KAFKA_BROKERS);
    parts.push(external(config, 'KAFKA_BROKERS', { name: 'kafka', address: KAFKA_BROKERS, ready }));
  } else if (jars) {
    parts.push(...embeddedBrokers(config, paths.kafka, jars));
  }
  if (config.SCHEMA_REGISTRY_URL) {
    const ready = httpProbe(`${SCHEMA_REGISTRY_URL}/subjects`);
    parts.push(external(config, 'SCHEMA_REGISTRY_URL', { name: 'registry', address: SCHEMA_REGISTRY_URL, ready }));
  } else if (jars) {
    parts.push(
      registryPart({
        jar: jars.registry,
        archive: jars.archives.registry,
        port: config.SCHEMA_REGISTRY_PORT,
        kafkaBrokers: KAFKA_BROKERS,
        embeddedBrokers: config.KAFKA_BROKERS === undefined ? Number(config.KAFKA_NODES) : 0,
      }),
    );
  }
  return parts;
}

function clickhousePart({ config, paths }: PlanOptions): Part {
  const { CLICKHOUSE_URL: address } = addressesOf(config);
  const ready = httpProbe(`${address}/ping`);
  if (config.CLICKHOUSE_URL) return external(config, 'CLICKHOUSE_URL', { name: 'clickhouse', address, ready });
  const port = config.CLICKHOUSE_HTTP_PORT;
  return nodeServicePart({
    name: 'clickhouse',
    folder: 'clickhouse',
    needs: [],
    runDir: paths.run,
    env: { CLICKHOUSE_HTTP_PORT: String(port), CLICKHOUSE_DATA_DIR: paths.clickhouse },
    ports: [{ port, variable: 'CLICKHOUSE_HTTP_PORT' }],
    ready,
    address,
  });
}

/** The address without user, password and query, which may be secrets. */
function publicAddress(address: string): string {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}

/** Any answer counts as ready: another team's API need not have a path that says it is well. */
const answers: (address: string) => Probe = (address) => async (target) => {
  const response = await fetch(address, { signal: target.signal });
  await response.body?.cancel();
};

function nlpPart({ config, paths }: PlanOptions): Part {
  const { NLP_URL: url } = addressesOf(config);
  const address = publicAddress(url);
  if (config.NLP_URL) return external(config, 'NLP_URL', { name: 'nlp', address, ready: answers(address) });
  return nodeServicePart({
    name: 'nlp',
    folder: 'nlp',
    needs: [],
    runDir: paths.run,
    env: {
      NLP_PORT: String(config.NLP_PORT),
      NLP_LATENCY_MEAN_MS: String(config.NLP_LATENCY_MEAN_MS),
      NLP_LATENCY_P99_MS: String(config.NLP_LATENCY_P99_MS),
    },
    ports: [{ port: config.NLP_PORT, variable: 'NLP_PORT' }],
    address,
  });
}

function serviceParts({ config, paths, publicKey }: PlanOptions): Part[] {
  const env = { ...addressesOf(config), ...(isCluster(config) && { TOPIC_REPLICATION: config.KAFKA_NODES }) };
  const runDir = paths.run;
  const numbered = (name: PartName, count: number, needs: readonly PartName[]) =>
    Array.from({ length: count }, (_, index) =>
      nodeServicePart({ name: index === 0 ? name : `${name}-${index + 1}`, folder: name, needs, runDir, env }),
    );
  const gateway = nodeServicePart({
    name: 'gateway',
    folder: 'gateway',
    needs: ['kafka', 'registry'],
    runDir,
    env: {
      ...env,
      GATEWAY_PORT: String(config.GATEWAY_PORT),
      ...(publicKey !== undefined && { JWT_PUBLIC_KEY: publicKey, JWT_ISSUER: LOCAL_ISSUER }),
    },
    ports: [{ port: config.GATEWAY_PORT, variable: 'GATEWAY_PORT' }],
    address: `ws://127.0.0.1:${config.GATEWAY_PORT}/v1/stream`,
  });
  return [
    gateway,
    ...numbered('enricher', config.ENRICHER_INSTANCES, ['kafka', 'registry', 'nlp']),
    ...numbered('sink', config.SINK_INSTANCES, ['kafka', 'registry', 'clickhouse']),
  ];
}

/** The parts to run, those left out by `only` struck from what the others wait for. */
export function planParts(options: PlanOptions): Part[] {
  const serviceOf = (name: string) => name.replace(/-\d+$/, '');
  const parts = [...javaParts(options), clickhousePart(options), nlpPart(options), ...serviceParts(options)].filter(
    ({ name }) => options.only.includes(serviceOf(name) as PartName),
  );
  const names = parts.map(({ name }) => name);
  // Who needs Kafka needs each broker of a cluster: only then can a topic have its replicas.
  const standing = (needs: readonly string[]) => names.filter((name) => needs.includes(serviceOf(name)));
  return parts.map((part) => ({
    ...part,
    needs: standing(part.needs),
    ...(part.kind === 'process' && { beside: standing(part.beside ?? []) }),
  }));
}
