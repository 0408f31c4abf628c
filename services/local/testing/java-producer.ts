import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DEFAULT_CACHE_DIR } from '../folders.ts';
import { ensureJars } from '../jars.ts';

const JAVA = 'java';

interface JavaSend {
  readonly brokers: string;
  readonly topic: string;
  /** As `compression.type` names it. */
  readonly codec: 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** A record each, without key. */
  readonly values: readonly string[];
}

/** Sends with Kafka's own Java producer, out of the jars of the embedded broker. */
export async function sendWithJava({ brokers, topic, codec, values }: JavaSend): Promise<void> {
  const cacheDir = process.env['PARLEY_CACHE_DIR'] ?? DEFAULT_CACHE_DIR;
  const { kafka } = await ensureJars({ cacheDir, env: process.env, report: () => {} });
  const jvm = ['-XX:TieredStopAtLevel=1', '-cp', join(kafka, '*'), 'org.apache.kafka.tools.ConsoleProducer'];
  const target = ['--bootstrap-server', brokers, '--topic', topic, '--compression-codec', codec];
  const java = spawn(JAVA, [...jvm, ...target], { stdio: ['pipe', 'ignore', 'ignore'] });
  java.stdin.end(values.join('\n'));
  const [code] = await once(java, 'exit');
  if (code !== 0) throw new Error(`the Java producer ended with ${code}`);
}
