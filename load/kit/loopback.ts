import { isIPv4 } from 'node:net';
import { ParleyError } from '../../services/core/errors.ts';

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

/** @throws {ParleyError} NOT_LOOPBACK for an address of another machine: load is for what one may overload. */
export function assertLoopback(addresses: Readonly<Record<string, string>>): void {
  for (const [what, address] of Object.entries(addresses)) {
    const { hostname } = new URL(address.includes('://') ? address : `tcp://${address}`);
    if (isLoopback(hostname)) continue;
    throw new ParleyError('NOT_LOOPBACK', `${what} is ${address}, which is not on this machine.`);
  }
}
