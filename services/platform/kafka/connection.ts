import type { ConfigOf } from '../../core/config.ts';
import { ParleyError } from '../../core/errors.ts';
import { clientCredentials } from '../oauth-token.ts';
import type { KAFKA_SPEC } from '../settings.ts';

type KafkaConfig = Pick<ConfigOf<typeof KAFKA_SPEC>, Extract<keyof typeof KAFKA_SPEC, `KAFKA_${string}`>>;

/** PEM texts; without `ca` the system's authorities are trusted. */
export interface KafkaTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** By Kafka's names. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | { readonly mechanism: 'oauthbearer'; readonly oauthBearerProvider: () => Promise<{ value: string }> };

/** Where the brokers are, and how this client shows who it is. */
export interface KafkaConnection {
  /** `host:port` or `[IPv6]:port`. */
  readonly brokers: readonly string[];
  /** Absent: plain TCP. */
  readonly tls?: KafkaTls;
  /** Absent: no authentication. */
  readonly sasl?: KafkaSasl;
  /** What `broker.rack` is called where this process runs; absent: the leader is read from, wherever it is. */
  readonly rack?: string;
  /** The codec of produced batches; none by default. */
  readonly compression?: Compression;
  /** Milliseconds. */
  readonly connectionTimeout?: number;
  /** Milliseconds. */
  readonly requestTimeout?: number;
}

const invalid = (message: string) => new ParleyError('CONFIG_INVALID', message);

/** @throws {ParleyError} CONFIG_INVALID where variables are given that only have a meaning together. */
export function kafkaConnection(config: KafkaConfig): KafkaConnection {
  const tls = tlsOf(config);
  const sasl = saslOf(config);
  return {
    brokers: config.KAFKA_BROKERS,
    compression: config.KAFKA_COMPRESSION,
    connectionTimeout: config.KAFKA_CONNECTION_TIMEOUT_MS,
    requestTimeout: config.KAFKA_REQUEST_TIMEOUT_MS,
    ...(config.KAFKA_CLIENT_RACK !== undefined && { rack: config.KAFKA_CLIENT_RACK }),
    ...(tls && { tls }),
    ...(sasl && { sasl }),
  };
}

function tlsOf({ KAFKA_SSL, KAFKA_SSL_CA: ca, KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: key }: KafkaConfig) {
  if ((cert === undefined) !== (key === undefined)) {
    throw invalid('KAFKA_SSL_CERT and KAFKA_SSL_KEY belong together; allowed are both or none');
  }
  if (!KAFKA_SSL) {
    // Set and without effect: somebody believes that the connection is encrypted.
    if (ca !== undefined || cert !== undefined)
      throw invalid('KAFKA_SSL_CA or KAFKA_SSL_CERT is set; set KAFKA_SSL=true');
    return undefined;
  }
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}

function saslOf(config: KafkaConfig): KafkaSasl | undefined {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = config;
  if (mechanism === undefined) {
    if (username !== undefined || password !== undefined) {
      throw invalid('KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD is set; set KAFKA_SASL_MECHANISM too');
    }
    return undefined;
  }
  if (mechanism === 'OAUTHBEARER') return oauthOf(config);
  if (username === undefined || password === undefined) {
    throw invalid(`KAFKA_SASL_MECHANISM ${mechanism} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`);
  }
  return { mechanism: mechanism.toLowerCase() as 'plain', username, password };
}

function oauthOf(config: KafkaConfig): KafkaSasl {
  const {
    KAFKA_OAUTH_TOKEN_URL: tokenUrl,
    KAFKA_OAUTH_CLIENT_ID: clientId,
    KAFKA_OAUTH_CLIENT_SECRET: clientSecret,
    KAFKA_OAUTH_SCOPE: scope,
  } = config;
  if (tokenUrl === undefined || clientId === undefined || clientSecret === undefined) {
    throw invalid(
      'KAFKA_SASL_MECHANISM OAUTHBEARER needs KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET',
    );
  }
  const token = clientCredentials({ tokenUrl, clientId, clientSecret, ...(scope !== undefined && { scope }) });
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await token() }) };
}
