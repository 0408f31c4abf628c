import { globalTransport } from './global-transport.ts';
import type { Transport } from './transport.ts';

/**
 * The `ws` package where there is Node and the package: it sees pings and why a handshake was refused. Elsewhere, in
 * browsers and other runtimes, the global WebSocket; the module of the other is never asked for there.
 */
export async function defaultTransport(): Promise<Transport> {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  if (process?.versions?.node === undefined) return globalTransport;
  try {
    return (await import('./ws-transport.ts')).wsTransport;
  } catch (error) {
    if (typeof globalThis.WebSocket === 'function') return globalTransport;
    throw error;
  }
}
