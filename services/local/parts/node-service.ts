import { join } from 'node:path';
import type { PortClaim } from '../ports.ts';
import type { Probe, ProcessPart } from './part.ts';
import { serviceProbe } from './probes.ts';

const SERVICES = join(import.meta.dirname, '../..');

/**
 * Flags of Node, by folder, which keep a heap near what it needs, and what lives for 200 ms in the young generation. By default V8
 * lets that grow to 128 MB a process and the old one to three times what is alive. All are measured (docs/adr/0012).
 */
const NODE_FLAGS: Readonly<Record<string, readonly string[]>> = {
  enricher: [
    '--max-semi-space-size=64',
    '--heap-growing-percent=60',
    '--no-allocation-site-pretenuring',
    '--v8-pool-size=1',
  ],
  gateway: ['--max-semi-space-size=16'],
};

/** The command that runs one of our services: the Node that runs this, on the service's `main.ts`. */
export const serviceCommand = (folder: string): { command: string; args: readonly string[] } => ({
  command: process.execPath,
  args: [...(NODE_FLAGS[folder] ?? []), join(SERVICES, folder, 'main.ts')],
});

export interface NodeServiceOptions {
  readonly name: string;
  /** Its folder below `services/`. */
  readonly folder: string;
  readonly needs: readonly string[];
  readonly runDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports?: readonly PortClaim[];
  readonly address?: string;
  /** Asked in place of the instance file and `/readyz`. */
  readonly ready?: Probe;
}

/** One of our own services as a part: ready when its `/readyz` says so; TERM drains it. */
export function nodeServicePart(options: NodeServiceOptions): ProcessPart {
  return {
    kind: 'process',
    name: options.name,
    needs: options.needs,
    ...serviceCommand(options.folder),
    env: { PARLEY_RUN_DIR: options.runDir, ...options.env },
    ports: options.ports ?? [],
    ready: options.ready ?? serviceProbe(options.runDir),
    readyTimeoutMs: 120_000,
    // Above the services' own drain bounds, so that a slow drain ends by itself.
    stopGraceMs: 35_000,
    ...(options.address !== undefined && { address: options.address }),
  };
}
