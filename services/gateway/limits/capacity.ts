import { readFileSync } from 'node:fs';
import type { Logger } from '../../platform/logger.ts';
import type { PlaceLimits } from './admission.ts';

/** Files that are no bot's: Kafka, the registry, logs, handshakes under way that will be refused. */
const RESERVED_FILES = 512;
/** Of these, what is kept from TCP connections that are no session yet. */
const RESERVED_OF_SOCKETS = 128;
/** Where the system does not tell: the usual limit of an interactive shell. */
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
  /** TCP connections of one worker, those included that have not said anything yet. */
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
  readonly MAX_TENANT_CONNECTIONS: number;
  readonly GATEWAY_WORKERS: number;
}

/** Reads the open-file limit and says in the log what it allows. */
export function readCapacity(config: CapacityWish, log: Logger): { capacity: Capacity; places: PlaceLimits } {
  const { MAX_CONNECTIONS: wanted, GATEWAY_WORKERS: workers } = config;
  const files = openFileLimit();
  const capacity = capacityOf(files, workers, wanted);
  const { connections } = capacity;
  const told = { max_connections: connections, open_files: files, workers };
  if (wanted !== undefined && wanted > connections) {
    log.warn({ ...told, wanted }, 'fewer connections than MAX_CONNECTIONS: raise ulimit -n or GATEWAY_WORKERS');
  } else log.info(told, 'connections that fit');
  return { capacity, places: { connections, tenantConnections: config.MAX_TENANT_CONNECTIONS } };
}
