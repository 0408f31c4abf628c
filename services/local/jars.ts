import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ParleyError } from '../core/errors.ts';
import { type ClassArchive, classArchive } from './class-archive.ts';
import { isLock, type Lock, tryLock } from './process/lock.ts';

const POM = join(import.meta.dirname, 'kafka/pom.xml');
const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin';
const LOCK_POLL_MS = 200;

const REGISTRY = { version: '3.0.9', artifact: 'io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all' };

/** Where the Java parts lie, unpacked. */
export interface Jars {
  /** Folder with the broker's jars, for `-cp <folder>/*`. */
  readonly kafka: string;
  /** The registry's runnable jar. */
  readonly registry: string;
  readonly archives: { readonly kafka: ClassArchive; readonly registry: ClassArchive };
}

export interface JarsOptions {
  readonly cacheDir: string;
  /** The environment that Maven runs in. */
  readonly env: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
  /** Aborting ends a running download. */
  readonly signal?: AbortSignal;
}

interface Bundle {
  readonly title: string;
  /** Folder inside the cache; its name changes with the content that is asked for. */
  readonly folder: string;
  readonly maven: (target: string) => readonly string[];
}

const kafkaBundle = (pom: string): Bundle => ({
  title: 'Apache Kafka (54 MB)',
  folder: `kafka-${createHash('sha256').update(pom).digest('hex').slice(0, 12)}`,
  maven: (target) => [
    `${PLUGIN}:3.8.1:copy-dependencies`,
    '-f',
    POM,
    '-DincludeScope=runtime',
    `-DoutputDirectory=${target}`,
  ],
});

const registryBundle: Bundle = {
  title: 'Apicurio Registry (109 MB)',
  folder: `registry-${REGISTRY.version}`,
  // Plugin 2.10 takes the archive alone; later ones read its POM first, whose parent is not published everywhere.
  maven: (target) => [`${PLUGIN}:2.10:unpack`, `-Dartifact=${REGISTRY.artifact}`, `-DoutputDirectory=${target}`],
};

function runMaven(
  args: readonly string[],
  cwd: string,
  { env, signal }: JarsOptions,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('mvn', ['--batch-mode', '--quiet', ...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal && { signal }),
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

const firstError = (output: string): string =>
  output
    .split('\n')
    .find((line) => line.startsWith('[ERROR]'))
    ?.replace('[ERROR] ', '') ?? output.trim().slice(-300);

async function download(bundle: Bundle, options: JarsOptions): Promise<void> {
  const { cacheDir } = options;
  const draft = join(cacheDir, `${bundle.folder}.${randomUUID()}`);
  const content = join(draft, 'content');
  await mkdir(draft);
  try {
    // Maven leaves marker files in the folder it runs in, and skips what they name: a fresh folder each time.
    const { code, output } = await runMaven(bundle.maven(content), draft, options).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        throw new ParleyError(
          'PREREQUISITE_MISSING',
          'Maven (mvn) is not installed: Debian: `apt install maven`, macOS: `brew install maven`.',
        );
      },
    );
    if (code !== 0) {
      throw new ParleyError(
        'DOWNLOAD_FAILED',
        `${bundle.title} could not be downloaded with Maven: ${firstError(output)} Check the network or Maven's settings, then run the command again.`,
      );
    }
    await rename(content, join(cacheDir, bundle.folder));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function lockCache({ cacheDir, report, signal }: JarsOptions): Promise<Lock> {
  let told = false;
  for (;;) {
    const result = await tryLock(join(cacheDir, 'download.lock'));
    if (isLock(result)) return result;
    if (!told) report(`Waiting for process ${result.pid}, which is downloading the same files`);
    told = true;
    await sleep(LOCK_POLL_MS, undefined, { ...(signal && { signal }) });
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function fill(missing: () => Promise<Bundle[]>, options: JarsOptions): Promise<void> {
  const { cacheDir, report } = options;
  await mkdir(cacheDir, { recursive: true });
  const lock = await lockCache(options);
  try {
    for (const bundle of await missing()) {
      report(`Downloading ${bundle.title} with Maven, once`);
      await download(bundle, options);
    }
  } finally {
    await lock.release();
  }
}

/**
 * Downloads what is not in the cache yet; a bundle appears there whole or not at all, and one process at a time
 * downloads (two Mavens on one local repository disturb each other).
 *
 * @throws {ParleyError} PREREQUISITE_MISSING without Maven, DOWNLOAD_FAILED with Maven's first error.
 */
export async function ensureJars(options: JarsOptions): Promise<Jars> {
  const { cacheDir, env } = options;
  const kafka = kafkaBundle(await readFile(POM, 'utf8'));
  const missing = async () => {
    const present = await Promise.all([kafka, registryBundle].map(({ folder }) => exists(join(cacheDir, folder))));
    return [kafka, registryBundle].filter((_, index) => !present[index]);
  };
  if ((await missing()).length > 0) await fill(missing, options);
  return {
    kafka: join(cacheDir, kafka.folder),
    registry: join(cacheDir, registryBundle.folder, `apicurio-registry-app-${REGISTRY.version}-runner.jar`),
    archives: {
      kafka: await classArchive(join(cacheDir, kafka.folder), env),
      registry: await classArchive(join(cacheDir, registryBundle.folder), env),
    },
  };
}
