import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../platform/free-port.ts';
import { DEFAULT_CACHE_DIR } from '../folders.ts';
import { ensureJars } from '../jars.ts';
import { kafkaClusterParts } from '../parts/kafka.ts';
import { BreakablePart } from './breakable-part.ts';

/** Each of several brokers leads a part of the traffic and shares the machine with the others. */
export const CLUSTER_HEAP = '288m';

export interface KafkaCluster {
  readonly brokers: readonly string[];
  /** By node id, from 1. */
  readonly nodes: readonly BreakablePart[];
  readonly stop: () => Promise<void>;
}

/** Brokers alone, ready, each of which can be killed and started again. */
export async function startKafkaCluster(nodes: number): Promise<KafkaCluster> {
  const report = (line: string) => process.stderr.write(`${line}\n`);
  const cacheDir = process.env['PARLEY_CACHE_DIR'] ?? DEFAULT_CACHE_DIR;
  const jars = await ensureJars({ cacheDir, env: process.env, report });
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-cluster-'));
  const ports = await Promise.all(Array.from({ length: nodes }, () => freePort()));
  const options = { jars: jars.kafka, archive: jars.archives.kafka, dataDir, ports, heap: CLUSTER_HEAP };
  const parts = kafkaClusterParts(options).map((part) => new BreakablePart(part, join(dataDir, 'logs')));
  const stop = async () => {
    await Promise.all(parts.map((part) => part.kill()));
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await Promise.all(parts.map((part) => part.start()));
    await Promise.all(parts.map((part) => part.ready()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { brokers: ports.map((port) => `127.0.0.1:${port}`), nodes: parts, stop };
}
