import { hostPorts, int, optional, secret, text, url } from '../core/config.ts';

/** Variables that several services share; spread them into a service's own spec. */

export const KAFKA_SPEC = {
  KAFKA_BROKERS: hostPorts({ default: ['127.0.0.1:9092'], doc: 'Kafka bootstrap brokers' }),
  TOPIC_PREFIX: text({ default: '', doc: 'Put before the names of all topics and consumer groups' }),
  TOPIC_PARTITIONS: int({ default: 12, min: 1, max: 1_000, doc: 'Partitions of each chat topic, when created' }),
  TOPIC_REPLICATION: int({ default: 1, min: 1, max: 7, doc: 'Replicas of each partition, when created' }),
};

export const REGISTRY_SPEC = {
  SCHEMA_REGISTRY_URL: url({
    default: 'http://127.0.0.1:8081/apis/ccompat/v7',
    doc: 'Base of the Confluent-compatible schema registry API',
  }),
};

export const CLICKHOUSE_SPEC = {
  CLICKHOUSE_URL: url({ default: 'http://127.0.0.1:8123', doc: 'ClickHouse over HTTP' }),
  CLICKHOUSE_DATABASE: text({ default: 'parley', doc: 'Database of the facts and rollups' }),
  CLICKHOUSE_USER: text({ default: 'default', doc: 'ClickHouse user' }),
  CLICKHOUSE_PASSWORD: secret({ default: '', doc: 'Its password' }),
};

export const NLP_SPEC = {
  NLP_URL: url({ default: 'http://127.0.0.1:8091', doc: 'Base of the NLP API' }),
};

export const JWT_SPEC = {
  JWT_PUBLIC_KEY: optional(text({ doc: 'Public key in PEM that tokens are checked with' })),
  JWKS_URL: optional(url({ doc: 'Key set that tokens are checked with' })),
  JWT_ISSUER: text({ default: 'parley-local', doc: 'Required `iss` of a token' }),
  JWT_AUDIENCE: text({ default: 'parley', doc: 'Required `aud` of a token' }),
};
