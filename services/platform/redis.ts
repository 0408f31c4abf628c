import { Redis } from 'ioredis';
import { messageOf } from '../core/errors.ts';
import type { Logger } from './logger.ts';

/** How long a command may take: whoever asks has something else to do when Redis is away. */
const COMMAND_TIMEOUT_MS = 250;
const CONNECT_TIMEOUT_MS = 2_000;
const LAST_RECONNECT_MS = 2_000;

/** A script that runs on the Redis server, atomically. */
export interface RedisScript<A extends readonly (string | number)[], R> {
  /** @throws when Redis is away or does not answer within 250 ms. */
  run(key: string, ...args: A): Promise<R>;
  close(): Promise<void>;
}

/**
 * A Lua script of one key behind a connection of its own, which comes back by itself after an outage. Nothing is queued
 * while there is no connection.
 */
export function redisScript<A extends readonly (string | number)[], R>(
  url: string,
  lua: string,
  log: Logger,
): RedisScript<A, R> {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: true,
    retryStrategy: (times) => Math.min(LAST_RECONNECT_MS, 50 * 2 ** times),
  });
  redis.on('error', (error) => log.debug({ err: messageOf(error) }, 'Redis'));
  redis.defineCommand('parleyScript', { numberOfKeys: 1, lua });
  type Scripted = { parleyScript(key: string, ...args: readonly (string | number)[]): Promise<R> };
  return {
    run: (key, ...args) => (redis as unknown as Scripted).parleyScript(key, ...args),
    close: async () => redis.disconnect(),
  };
}
