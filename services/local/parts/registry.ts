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
  /** True when the broker is started by us too: then both start side by side. */
  readonly kafkaEmbedded: boolean;
}

/**
 * The embedded Apicurio Registry. Its state is a Kafka topic. It waits for the broker by itself, so the two virtual
 * machines warm up at the same time.
 */
export function registryPart(options: RegistryOptions): ProcessPart {
  const address = `http://127.0.0.1:${options.port}${API_PATH}`;
  return {
    kind: 'process',
    name: 'registry',
    needs: [],
    ...(options.kafkaEmbedded && { beside: ['kafka'] }),
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
    ready: httpProbe(`${address}/subjects`),
    readyTimeoutMs: 120_000,
    afterStop: options.archive.keep,
    // The first stop also writes the class archive.
    stopGraceMs: 30_000,
    address,
  };
}
