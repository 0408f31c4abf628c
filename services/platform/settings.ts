import { flag, hostPorts, int, oneOf, optional, pem, privateUrl, secret, text, url } from '../core/config.ts';

const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

/** Variables that several services share; spread them into a service's own spec. */

export const KAFKA_SPEC = {
  KAFKA_BROKERS: hostPorts({ default: ['127.0.0.1:9092'], doc: 'Kafka bootstrap brokers' }),
  TOPIC_PREFIX: text({ default: '', doc: 'Put before the names of all topics and consumer groups' }),
  TOPIC_PARTITIONS: int({
    default: 12,
    min: 1,
    max: 1_000,
    doc: 'Partitions of chat.events, chat.dlq and chat.replay, when created',
  }),
  TOPIC_ENRICHED_PARTITIONS: int({ default: 1, min: 1, max: 1_000, doc: 'Partitions of chat.enriched, when created' }),
  TOPIC_REPLICATION: int({
    default: 1,
    min: -1,
    max: 7,
    doc: 'Replicas of each partition, when created; -1: the brokers’ default',
  }),
  TOPIC_CREATE: flag({ default: true, doc: 'Create topics that are missing; false: say which are, and end' }),
  KAFKA_SSL: flag({ default: false, doc: 'Speak TLS to the brokers' }),
  KAFKA_SSL_CA: optional(pem({ doc: 'Authority that signed the brokers’ certificates; the system’s by default' })),
  KAFKA_SSL_CERT: optional(pem({ doc: 'Certificate of this client, for brokers that ask for one' })),
  KAFKA_SSL_KEY: optional(pem({ doc: 'Its key' })),
  KAFKA_SASL_MECHANISM: optional(
    oneOf(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'], { doc: 'How this client proves who it is' }),
  ),
  KAFKA_SASL_USERNAME: optional(text({ doc: 'User, for PLAIN and SCRAM' })),
  KAFKA_SASL_PASSWORD: optional(secret({ doc: 'Its password' })),
  KAFKA_OAUTH_TOKEN_URL: optional(url({ doc: 'Token endpoint of OAuth client credentials, for OAUTHBEARER' })),
  KAFKA_OAUTH_CLIENT_ID: optional(text({ doc: 'Client id there' })),
  KAFKA_OAUTH_CLIENT_SECRET: optional(secret({ doc: 'Client secret there' })),
  KAFKA_OAUTH_SCOPE: optional(text({ doc: 'Scope that is asked for, if any' })),
  KAFKA_CLIENT_RACK: optional(
    text({
      doc: 'Rack or zone of this process, by the names of broker.rack: consumers read from a replica that is near',
    }),
  ),
  KAFKA_COMPRESSION: oneOf(COMPRESSIONS, { default: 'none', doc: 'Codec of the batches that are produced' }),
  KAFKA_CONNECTION_TIMEOUT_MS: int({ default: 3_000, min: 100, max: 60_000, doc: 'Longest wait for a connection' }),
  KAFKA_REQUEST_TIMEOUT_MS: int({ default: 5_000, min: 500, max: 60_000, doc: 'Longest wait for a broker’s answer' }),
};

export const REGISTRY_SPEC = {
  SCHEMA_REGISTRY_URL: privateUrl({
    default: 'http://127.0.0.1:8081/apis/ccompat/v7',
    doc: 'Base of the Confluent-compatible schema registry API; `user:password@` in it is basic auth',
  }),
  SCHEMA_REGISTRY_USERNAME: optional(text({ doc: 'User of basic auth' })),
  SCHEMA_REGISTRY_PASSWORD: optional(secret({ doc: 'Its password' })),
  SCHEMA_REGISTRY_TOKEN: optional(secret({ doc: 'Bearer token, in place of basic auth' })),
  SCHEMA_REGISTRY_CA: optional(
    pem({ doc: 'Authority that signed the registry’s certificate; the system’s by default' }),
  ),
  SCHEMA_REGISTER: flag({
    default: true,
    doc: 'Register the schemas and set their compatibility; false: they must be there, nothing is written',
  }),
};

export const CLICKHOUSE_SPEC = {
  CLICKHOUSE_URL: url({ default: 'http://127.0.0.1:8123', doc: 'ClickHouse over HTTP' }),
  CLICKHOUSE_DATABASE: text({ default: 'parley', doc: 'Database of the facts and rollups' }),
  CLICKHOUSE_USER: text({ default: 'default', doc: 'ClickHouse user' }),
  CLICKHOUSE_PASSWORD: secret({ default: '', doc: 'Its password' }),
  CLICKHOUSE_CLUSTER: optional(
    text({
      doc: 'Cluster of one shard, by its own name: tables are made replicated, on every replica. Never tried on one',
    }),
  ),
};

export const NLP_SPEC = {
  NLP_URL: privateUrl({
    default: 'http://127.0.0.1:8091',
    doc: 'Base of the NLP API; its query goes with every request, `user:password@` in it is basic auth',
  }),
};

export const JWT_SPEC = {
  JWT_PUBLIC_KEY: optional(text({ doc: 'Public key in PEM that tokens are checked with' })),
  JWKS_URL: optional(url({ doc: 'Key set that tokens are checked with' })),
  JWT_ISSUER: text({ default: 'parley-local', doc: 'Required `iss` of a token' }),
  JWT_AUDIENCE: text({ default: 'parley', doc: 'Required `aud` of a token' }),
};
