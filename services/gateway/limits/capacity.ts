import { readFileSync } from 'node:fs';
import type { Logger } from '../../platform/logger.ts';
import type { PlaceLimits } from './connection-places.ts';

/** Files beside the bots' sockets: Kafka, the registry, logs, handshakes that will be refused. */
const RESERVED_FILES = 512;
/** Reserved files that sockets without a session may not take either. */
const RESERVED_OF_SOCKETS = 128;
/** Assumed where /proc is missing: the usual limit of an interactive shell. */
const UNKNOWN_FILES = 1_024;

/** The soft open-file limit of this process, as Node has raised it. */
export function openFileLimit(read = () => readFileSync('/proc/self/limits', 'utf8')): number {
  try {
    const found = /^Max open files +(\d+|unlimited)/m.exec(read())?.[1];
    if (found === 'unlimited') return Number.POSITIVE_INFINITY;
    return found === undefined ? UNKNOWN_FILES : Number(found);
  } catch {
    return UNKNOWN_FILES;
  }
}

export interface Capacity {
  /** Sessions of all workers together. */
  readonly connections: number;
  /** Sessions of one worker. */
  readonly connectionsPerWorker: number;
  /** TCP connections of one worker, those without a session included. */
  readonly socketsPerWorker: number;
}

/** How many connections the open-file limit allows, and no more than `wanted` of them. */
export function capacityOf(files: number, workers: number, wanted: number | undefined): Capacity {
  const perWorker = Math.max(1, Math.min(files - RESERVED_FILES, 1_000_000));
  const connections = Math.min(perWorker * workers, wanted ?? Number.POSITIVE_INFINITY);
  const socketsPerWorker = Math.max(perWorker, Math.min(files, 1_000_512) - RESERVED_OF_SOCKETS);
  return { connections, connectionsPerWorker: Math.min(perWorker, connections), socketsPerWorker };
}

export interface CapacityWish {
  readonly MAX_CONNECTIONS: number | undefined;
  readonly MAX_TENANT_CONNECTIONS: number | undefined;
  readonly MAX_BOT_CONNECTIONS: number | undefined;
  readonly GATEWAY_WORKERS: number;
}

/** A tenant that is alone here meets its default only where the gateway is nearly full. */
const TENANT_SHARE = 0.75;
/** A bot has a socket for each process that speaks for it: tens, hardly hundreds. */
const BOT_SHARE = 0.05;
const BOT_LEAST = 100;

/** The limits of a tenant and of a bot; by default one of either leaves room for others. */
export function placeLimitsOf(
  connections: number,
  wish: Pick<CapacityWish, 'MAX_TENANT_CONNECTIONS' | 'MAX_BOT_CONNECTIONS'>,
): PlaceLimits {
  return {
    connections,
    tenantConnections: wish.MAX_TENANT_CONNECTIONS ?? Math.max(BOT_LEAST, Math.floor(connections * TENANT_SHARE)),
    botConnections: wish.MAX_BOT_CONNECTIONS ?? Math.max(BOT_LEAST, Math.floor(connections * BOT_SHARE)),
  };
}

/** Reads the open-file limit and says in the log what it allows. */
export function readCapacity(config: CapacityWish, log: Logger): { capacity: Capacity; places: PlaceLimits } {
  const { MAX_CONNECTIONS: wanted, GATEWAY_WORKERS: workers } = config;
  const files = openFileLimit();
  const capacity = capacityOf(files, workers, wanted);
  const { connections } = capacity;
  const found = { max_connections: connections, open_files: files, workers };
  if (wanted !== undefined && wanted > connections) {
    log.warn({ ...found, wanted }, 'fewer connections than MAX_CONNECTIONS: raise ulimit -n or GATEWAY_WORKERS');
  } else log.info(found, 'connections that fit');
  return { capacity, places: placeLimitsOf(connections, config) };
}
