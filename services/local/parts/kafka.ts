import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ClassArchive } from '../class-archive.ts';
import { freePort } from '../ports.ts';
import type { ProcessPart } from './part.ts';
import { kafkaProbe } from './probes.ts';

const run = promisify(execFile);
const LOG4J = join(import.meta.dirname, '../kafka/log4j2.properties');

export interface KafkaOptions {
  /** Folder with the broker's jars. */
  readonly jars: string;
  readonly archive: ClassArchive;
  readonly dataDir: string;
  readonly port: number;
  readonly heap: string;
}

/** One node that is broker and controller (KRaft); every internal topic with one replica, since there is one broker. */
function properties(dataDir: string, port: number, controllerPort: number): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAINTEXT',
    `log.dirs=${join(dataDir, 'log')}`,
    'auto.create.topics.enable=false',
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=8',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'transaction.state.log.num.partitions=4',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    // The maximum: offsets and their metadata must not expire while nobody consumes.
    'offsets.retention.minutes=2147483647',
    // One machine: there are no late joiners to wait for, and tests use short sessions.
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=1000',
    'num.network.threads=2',
    'num.io.threads=4',
    // The default, 128 MiB, is allocated at start; 16 MiB index 600,000 keys of compacted topics, far more than here.
    'log.cleaner.dedupe.buffer.size=16777216',
    '',
  ].join('\n');
}

async function formatOnce(options: KafkaOptions, configFile: string): Promise<void> {
  const formatted = await access(join(options.dataDir, 'log/meta.properties')).then(
    () => true,
    () => false,
  );
  if (formatted) return;
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A');
  const quick = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Dlog4j2.configurationFile=${LOG4J}`];
  const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', configFile];
  await run('java', [...quick, '-cp', join(options.jars, '*'), ...format]);
}

/** The embedded broker, on 127.0.0.1 alone. Its controller listens on a free port that changes with every start. */
export function kafkaPart(options: KafkaOptions): ProcessPart {
  const configFile = join(options.dataDir, 'server.properties');
  const address = `127.0.0.1:${options.port}`;
  return {
    kind: 'process',
    name: 'kafka',
    needs: [],
    command: 'java',
    args: [
      ...options.archive.args,
      `-Xms${options.heap}`,
      `-Xmx${options.heap}`,
      '-XX:+UseG1GC',
      '-XX:MaxGCPauseMillis=20',
      `-Dlog4j2.configurationFile=${LOG4J}`,
      '-cp',
      join(options.jars, '*'),
      'kafka.Kafka',
      configFile,
    ],
    env: {},
    ports: [{ port: options.port, variable: 'KAFKA_PORT' }],
    prepare: async () => {
      await mkdir(options.dataDir, { recursive: true });
      await writeFile(configFile, properties(options.dataDir, options.port, await freePort()));
      await formatOnce(options, configFile);
    },
    ready: kafkaProbe([address]),
    readyTimeoutMs: 120_000,
    afterStop: options.archive.keep,
    // The first stop also writes the class archive.
    stopGraceMs: 30_000,
    address,
  };
}
