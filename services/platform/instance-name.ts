import { hostname } from 'node:os';

/** Kafka's client ids and group names take these characters; a host's label has at most 63 of them. */
const host = (): string =>
  hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '_')
    .slice(0, 63);

/**
 * The name of one process of a service in logs, client ids and the groups of its own: in containers every process has
 * the same small pid, so the host's name is part of it.
 */
export const instanceName = (service: string, ...numbers: readonly number[]): string =>
  [service, host(), ...numbers].join('-');
