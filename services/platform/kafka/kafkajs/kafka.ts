import { connect as connectTcp } from 'node:net';
import kafkajs, { type Kafka, type KafkaConfig } from 'kafkajs';
import type { Logger } from '../../logger.ts';
import { applyKafkajsPatches } from './kafkajs-patches.ts';

export type { Kafka } from 'kafkajs';

export interface KafkaOptions {
  readonly brokers: readonly string[];
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
export function createKafka({ brokers, clientId, log }: KafkaOptions): Kafka {
  applyKafkajsPatches();
  const kafkaLog = log.child({ library: 'kafkajs' });
  const config: KafkaConfig = {
    brokers: [...brokers],
    clientId,
    connectionTimeout: 3_000,
    requestTimeout: 5_000,
    retry: { initialRetryTime: 50, maxRetryTime: 2_000, retries: 12, multiplier: 2, factor: 0.3 },
    logLevel: kafkajs.logLevel.WARN,
    socketFactory: ({ host, port, onConnect }) =>
      connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 }, onConnect),
    logCreator:
      () =>
      ({ namespace, level, log: { message, timestamp: _time, logger: _logger, stack: _stack, ...fields } }) => {
        kafkaLog[isRoutine(message, fields['error']) ? 'debug' : (LEVELS[level] ?? 'debug')](
          { namespace, ...fields },
          message,
        );
      },
  };
  return new kafkajs.Kafka(config);
}
