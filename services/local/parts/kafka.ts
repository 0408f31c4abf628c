import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../platform/free-port.ts';
import type { ClassArchive } from '../class-archive.ts';
import { type KafkaNode, kafkaProperties, type SecuredListener } from './kafka-properties.ts';
import type { ProcessPart } from './part.ts';
import { kafkaProbe } from './probes.ts';

const run = promisify(execFile);
const LOG4J = join(import.meta.dirname, '../kafka/log4j2.properties');

interface KafkaOptions {
  /** Folder with the broker's jars. */
  readonly jars: string;
  readonly archive: ClassArchive;
  readonly dataDir: string;
  /** Heap of each broker, as java -Xmx takes it. */
  readonly heap: string;
}

/** The embedded broker, on 127.0.0.1 alone. Its controller listens on a free port that changes with every start. */
export function kafkaPart(
  options: KafkaOptions & { readonly port: number; readonly secured?: SecuredListener },
): ProcessPart {
  const { port, dataDir, secured } = options;
  const node = { id: 1, name: 'kafka', port, dataDir, ...(secured && { secured }) };
  return nodePart(options, node, quorumOf([node]));
}

/**
 * A cluster on 127.0.0.1, each node broker and controller, one a port: `kafka-1`, `kafka-2`, … in folders of their own.
 * Every topic has a replica on each of up to three, and a record is acked once two have it.
 */
export function kafkaClusterParts(options: KafkaOptions & { readonly ports: readonly number[] }): ProcessPart[] {
  const nodes = options.ports.map((port, index) => {
    const name = `kafka-${index + 1}`;
    return { id: index + 1, name, port, dataDir: join(options.dataDir, name) };
  });
  const quorum = quorumOf(nodes);
  return nodes.map((node) => nodePart(options, node, quorum));
}

interface Quorum {
  readonly clusterId: string;
  /** By node, in their order. */
  readonly controllerPorts: readonly number[];
}

/** What the nodes have to agree on, found out once, when the first of them is prepared. */
function quorumOf(nodes: readonly KafkaNode[]): () => Promise<Quorum> {
  let found: Promise<Quorum> | undefined;
  return () => {
    found ??= (async () => ({
      clusterId: await clusterIdOf(nodes),
      controllerPorts: await Promise.all(nodes.map(() => freePort())),
    }))();
    return found;
  };
}

/** The id under which a node was formatted before, so that one that lost its folder finds its way back; else a new one. */
async function clusterIdOf(nodes: readonly KafkaNode[]): Promise<string> {
  const metas = await Promise.all(nodes.map(({ dataDir }) => readFile(metaFile(dataDir), 'utf8').catch(() => '')));
  const known = metas.map((meta) => /^cluster\.id=(\S+)$/m.exec(meta)?.[1]).find((id) => id !== undefined);
  return known ?? randomBytes(16).toString('base64url').replace(/^-/, 'A');
}

const metaFile = (dataDir: string) => join(dataDir, 'log/meta.properties');

async function formatOnce({ jars, archive }: KafkaOptions, node: KafkaNode, clusterId: string, configFile: string) {
  const formatted = await access(metaFile(node.dataDir)).then(
    () => true,
    () => false,
  );
  if (formatted) return;
  const quick = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Dlog4j2.configurationFile=${LOG4J}`];
  const extra = node.secured?.formatOptions ?? [];
  const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', configFile, ...extra];
  // The broker's, which the tool only reads: it ends before the broker could have written one.
  const classes = archive.isThere ? archive.args : [];
  await run('java', [...classes, ...quick, '-cp', join(jars, '*'), ...format]);
}

function nodePart(options: KafkaOptions, node: KafkaNode, quorum: () => Promise<Quorum>): ProcessPart {
  const { jars, archive, heap } = options;
  const configFile = join(node.dataDir, 'server.properties');
  const address = `127.0.0.1:${node.port}`;
  return {
    kind: 'process',
    name: node.name,
    needs: [],
    command: 'java',
    args: [
      ...archive.args,
      `-Xms${heap}`,
      `-Xmx${heap}`,
      '-XX:+UseG1GC',
      '-XX:MaxGCPauseMillis=20',
      `-Dlog4j2.configurationFile=${LOG4J}`,
      '-cp',
      join(jars, '*'),
      'kafka.Kafka',
      configFile,
    ],
    env: {},
    ports: [{ port: node.port, variable: 'KAFKA_PORT' }],
    prepare: async () => {
      await mkdir(node.dataDir, { recursive: true });
      const { clusterId, controllerPorts } = await quorum();
      await writeFile(configFile, kafkaProperties(node, controllerPorts));
      await formatOnce(options, node, clusterId, configFile);
    },
    ready: kafkaProbe([address]),
    readyTimeoutMs: 120_000,
    afterStop: archive.keep,
    // The first stop also writes the class archive.
    stopGraceMs: 30_000,
    address,
  };
}
