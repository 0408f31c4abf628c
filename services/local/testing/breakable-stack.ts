import { rm } from 'node:fs/promises';
import { folders } from '../folders.ts';
import { nodeServicePart } from '../parts/node-service.ts';
import { BreakablePart } from './breakable-part.ts';
import { type EmbeddedOptions, embeddedParts, type StackAddresses } from './embedded-parts.ts';

export { freePort } from '../../platform/free-port.ts';
export { folders } from '../folders.ts';
export type { BreakablePart } from './breakable-part.ts';
export type { StackAddresses } from './embedded-parts.ts';

/** A whole system of its own, each part of which can be killed, frozen, stopped and started again. */
export interface BreakableStack {
  readonly dataDir: string;
  readonly addresses: StackAddresses;
  /** By name, those that were stopped included. */
  readonly parts: ReadonlyMap<string, BreakablePart>;
  /** A further part, not started yet: an instance of a service with this name, pointed at the stack. */
  readonly add: (
    name: string,
    service: 'gateway' | 'enricher' | 'sink',
    env: Readonly<Record<string, string>>,
  ) => BreakablePart;
  /** Ends everything at once. `keep` leaves the data folder, logs included. */
  readonly stop: (options?: { readonly keep?: boolean }) => Promise<void>;
}

/** Kafka, registry, ClickHouse endpoint and NLP, ready, in a temporary data folder. */
export async function startBreakableStack(
  report: (line: string) => void,
  options: EmbeddedOptions = {},
): Promise<BreakableStack> {
  const { dataDir, addresses, parts: embedded } = await embeddedParts(report, options);
  const { logs, run } = folders(dataDir);
  const parts = new Map(embedded.map((part) => [part.name, new BreakablePart(part, logs)]));
  const stop = async ({ keep = false } = {}) => {
    await Promise.all([...parts.values()].map((part) => part.kill()));
    if (!keep) await rm(dataDir, { recursive: true, force: true });
  };
  try {
    for (const group of [
      embedded.filter(({ needs }) => needs.length === 0),
      embedded.filter(({ needs }) => needs.length > 0),
    ]) {
      await Promise.all(group.map(({ name }) => parts.get(name)?.start()));
      await Promise.all(group.map(({ name }) => parts.get(name)?.ready()));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const common = {
    KAFKA_BROKERS: addresses.kafkaBrokers,
    SCHEMA_REGISTRY_URL: addresses.registryUrl,
    CLICKHOUSE_URL: addresses.clickhouseUrl,
    NLP_URL: addresses.nlpUrl,
    ADMIN_PORT: '0',
  };
  return {
    dataDir,
    addresses,
    parts,
    add: (name, service, env) => {
      const options = { name, folder: service, needs: [], runDir: run, env: { ...common, ...env } };
      const part = new BreakablePart(nodeServicePart(options), logs);
      parts.set(name, part);
      return part;
    },
    stop,
  };
}
