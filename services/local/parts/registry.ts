import type { ClassArchive } from '../class-archive.ts';
import type { ProcessPart } from './part.ts';
import { httpProbe } from './probes.ts';

/** Path of the Confluent-compatible API, below the registry's root. */
const API_PATH = '/apis/ccompat/v7';

export interface RegistryOptions {
  readonly jar: string;
  readonly archive: ClassArchive;
  readonly port: number;
  readonly kafkaBrokers: string;
  /** Embedded brokers, which are started with the registry; 0 where Kafka runs elsewhere. */
  readonly embeddedBrokers: number;
}

/**
 * The embedded Apicurio Registry. Its state is a Kafka topic.
 *
 * Beside a single broker it starts at the same time and waits for it by itself, at most 60 s from "Using Kafka-SQL
 * artifactStore" on (`default.api.timeout.ms` of its admin client), after which the process ends. Several brokers come
 * first: on a busy machine four virtual machines that warm up together take longer than that, and the registry gives its
 * topics as many replicas as it sees brokers when it makes them.
 */
export function registryPart(options: RegistryOptions): ProcessPart {
  const address = `http://127.0.0.1:${options.port}${API_PATH}`;
  return {
    kind: 'process',
    name: 'registry',
    needs: options.embeddedBrokers > 1 ? ['kafka'] : [],
    ...(options.embeddedBrokers === 1 && { beside: ['kafka'] }),
    command: 'java',
    // The quick compiler alone: the registry's start is what one waits for, and it is asked a few times a minute.
    args: [...options.archive.args, '-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-jar', options.jar],
    env: {
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: String(options.port),
      APICURIO_STORAGE_KIND: 'kafkasql',
      APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: options.kafkaBrokers,
      // At start it polls the topic of snapshots for this long; there are none here, and the default is 5 s.
      APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT: '500',
    },
    ports: [{ port: options.port, variable: 'SCHEMA_REGISTRY_PORT' }],
    // The API answers before the journal was read to its end, as if what is registered were not.
    ready: httpProbe(`http://127.0.0.1:${options.port}/health/ready`),
    readyTimeoutMs: 120_000,
    afterStop: options.archive.keep,
    // The first stop also writes the class archive.
    stopGraceMs: 30_000,
    address,
  };
}
