import { DEFAULT_CACHE_DIR } from '../folders.ts';
import { ensureJars } from '../jars.ts';
import { startTestStack } from './test-stack.ts';

/**
 * Downloads the Java parts, and lets broker and registry write their class archives, which they do when they are stopped:
 * the suite starts some forty brokers, each for half the processor time then, and kills most of them.
 */
export async function primeJava(report: (line: string) => void): Promise<void> {
  const cacheDir = process.env['PARLEY_CACHE_DIR'] ?? DEFAULT_CACHE_DIR;
  const { archives } = await ensureJars({ cacheDir, env: process.env, report });
  if (archives.kafka.isThere && archives.registry.isThere) return;
  report('Starting Kafka and the registry once, so that later starts take half the time');
  const stack = await startTestStack(report, ['kafka', 'registry']);
  await stack.stop();
}

// Not awaited: jest requires this module, which cannot have a promise at its top.
if (import.meta.main) void primeJava((line) => process.stderr.write(`${line}\n`));
