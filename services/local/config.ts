import { type ConfigOf, hostPorts, int, number, oneOf, optional, privateUrl, text, url } from '../core/config.ts';
import { DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR } from './folders.ts';

const port = (fallback: number, doc: string) => int({ default: fallback, min: 1, max: 65_535, doc });

/** What `npm start` reads from the environment; every service reads its own variables besides. */
export const SPEC = {
  KAFKA_BROKERS: optional(hostPorts({ doc: 'Use these brokers; no Kafka is started' })),
  SCHEMA_REGISTRY_URL: optional(url({ doc: 'Use this Confluent-compatible registry; none is started' })),
  CLICKHOUSE_URL: optional(url({ doc: 'Use this ClickHouse; none is started' })),
  NLP_URL: optional(privateUrl({ doc: 'Use this NLP API; none is started' })),
  KAFKA_PORT: port(9_092, 'Port of the embedded Kafka'),
  SCHEMA_REGISTRY_PORT: port(8_081, 'Port of the embedded schema registry'),
  CLICKHOUSE_HTTP_PORT: port(8_123, 'Port of the embedded ClickHouse endpoint'),
  NLP_PORT: port(8_091, 'Port of the embedded NLP API'),
  GATEWAY_PORT: port(8_080, 'Port of the gateway'),
  KAFKA_NODES: oneOf(['1', '3'], {
    default: '1',
    doc: 'Embedded brokers; of three, on KAFKA_PORT and the two ports above it, one may be down. Each count has data of its own',
  }),
  KAFKA_HEAP: optional(text({ doc: 'Heap of each embedded broker, as java -Xmx takes it; 1g, of three 320m' })),
  ENRICHER_INSTANCES: int({ default: 1, min: 1, max: 64, doc: 'Enricher processes' }),
  SINK_INSTANCES: int({ default: 1, min: 1, max: 64, doc: 'Sink processes' }),
  NLP_LATENCY_MEAN_MS: number({ default: 200, min: 0, max: 60_000, doc: 'Mean latency that the embedded NLP adds' }),
  NLP_LATENCY_P99_MS: number({ default: 350, min: 0, max: 600_000, doc: 'p99 of that latency' }),
  JWT_PUBLIC_KEY: optional(text({ doc: 'Public key in PEM of your own tokens; no key is made' })),
  JWKS_URL: optional(url({ doc: 'Key set of your own tokens; no key is made' })),
  PARLEY_DATA_DIR: text({ default: DEFAULT_DATA_DIR, doc: 'Data folder' }),
  PARLEY_CACHE_DIR: text({ default: DEFAULT_CACHE_DIR, doc: 'Where downloaded jars are kept' }),
  MIN_FREE_DISK_MIB: int({ default: 1_024, min: 0, max: 1 << 30, doc: 'Free disk space to start with' }),
  EXTERNAL_TIMEOUT_MS: int({ default: 30_000, min: 100, max: 3_600_000, doc: 'How long to wait for a given address' }),
};

export type LocalConfig = ConfigOf<typeof SPEC>;
