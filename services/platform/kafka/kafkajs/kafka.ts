import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import kafkajs, { type KafkaConfig, type SASLOptions } from 'kafkajs';
import { parseHostPort } from '../../../core/config.ts';
import type { Logger } from '../../logger.ts';
import type { Compression, KafkaConnection, KafkaTls } from '../connection.ts';
import type { Kafka } from './handle.ts';
import { applyKafkajsPatches } from './kafkajs-patches.ts';

export type { Kafka } from './handle.ts';

export interface KafkaOptions extends KafkaConnection {
  readonly clientId: string;
  readonly log: Logger;
}

const LEVELS: Record<number, 'error' | 'warn' | 'info' | 'debug'> = { 1: 'error', 2: 'warn', 4: 'info', 5: 'debug' };

/**
 * Every rebalance is told as an error of each heartbeat that meets it; and of our bounded retries it warns at every
 * start, though a producer that spends them is thrown away.
 */
const isRoutine = (message: string, error: unknown) =>
  message.startsWith('Limiting retries') || (typeof error === 'string' && error.startsWith('The group is rebalancing'));

/**
 * kafkajs with our patches. A half-open connection is given up after 5 s (the default, 30 s with five tries, was an
 * outage of 224 s); retries are endless with at most 2 s between them, since every caller has its own bound.
 */
export function createKafka(options: KafkaOptions): Kafka {
  const { brokers, clientId, log, tls, sasl } = options;
  applyKafkajsPatches();
  const kafkaLog = log.child({ library: 'kafkajs' });
  const config: KafkaConfig = {
    brokers: brokers.map(seedOf),
    clientId,
    connectionTimeout: options.connectionTimeout ?? 3_000,
    requestTimeout: options.requestTimeout ?? 5_000,
    ...(tls && { ssl: tls }),
    ...(sasl && { sasl: sasl as SASLOptions }),
    retry: { initialRetryTime: 50, maxRetryTime: 2_000, retries: 12, multiplier: 2, factor: 0.3 },
    logLevel: kafkajs.logLevel.WARN,
    socketFactory: socketFactory(tls),
    logCreator:
      () =>
      ({ namespace, level, log: { message, timestamp: _time, logger: _logger, stack: _stack, ...fields } }) => {
        kafkaLog[isRoutine(message, fields['error']) ? 'debug' : (LEVELS[level] ?? 'debug')](
          { namespace, ...fields },
          message,
        );
      },
  };
  const kafka = new kafkajs.Kafka(config) as unknown as Kafka;
  traits.set(kafka, { rack: options.rack, compression: options.compression ?? 'none' });
  return kafka;
}

/** What kafkajs has no place for: our own fetching and producing ask for it. */
interface KafkaTraits {
  readonly rack: string | undefined;
  readonly compression: Compression;
}

const traits = new WeakMap<Kafka, KafkaTraits>();

export const traitsOf = (kafka: Kafka): KafkaTraits => traits.get(kafka) ?? { rack: undefined, compression: 'none' };

const IPV6_SEED = '.ipv6';

/** kafkajs cuts a seed broker at its first colon: an IPv6 address travels as a name without any, until the socket. */
function seedOf(broker: string): string {
  const { host, port } = parseHostPort(broker) ?? { host: broker, port: 0 };
  return isIP(host) === 6 ? `${host.replaceAll(':', '_')}${IPV6_SEED}:${port}` : broker;
}

const addressOf = (host: string): string =>
  host.endsWith(IPV6_SEED) ? host.slice(0, -IPV6_SEED.length).replaceAll('_', ':') : host;

const socketFactory =
  (tls: KafkaTls | undefined): NonNullable<KafkaConfig['socketFactory']> =>
  ({ host: name, port, onConnect }) => {
    const host = addressOf(name);
    const options = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };
    if (!tls) return connectTcp(options, onConnect);
    // A certificate is issued to a name; an address is checked against its IP entries, without SNI.
    return connectTls({ ...options, ...(isIP(host) === 0 && { servername: host }), ...tls }, onConnect);
  };
