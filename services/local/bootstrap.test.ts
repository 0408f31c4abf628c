import { spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** A repository with nothing but the bootstrap, and a PATH with nothing but what the test puts there. */
let repository: string;
let bin: string;
beforeEach(async () => {
  repository = await mkdtemp(join(tmpdir(), 'parley-bootstrap-'));
  bin = join(repository, 'bin');
  await mkdir(join(repository, 'services/local'), { recursive: true });
  await mkdir(join(repository, 'node_modules'));
  await mkdir(bin);
  await symlink(process.execPath, join(bin, 'node'));
  await copyFile(join(import.meta.dirname, 'bootstrap.mjs'), join(repository, 'services/local/bootstrap.mjs'));
  await writeLock('package-lock.json', '1.0.0');
  await tool('npm', `echo "$@" >>${join(repository, 'npm-calls')}; echo noise`);
});
afterEach(() => rm(repository, { recursive: true }));

const writeLock = (file: string, version: string) =>
  writeFile(join(repository, file), JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } }));

async function tool(name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}

const java = (version: string) => tool('java', `echo 'openjdk version "${version}"' >&2`);
const maven = () => tool('mvn', 'echo Apache Maven 3.8.7');
const npmCalls = () => readFile(join(repository, 'npm-calls'), 'utf8').catch(() => '');

function bootstrap(env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(join(bin, 'node'), [join(repository, 'services/local/bootstrap.mjs')], {
    env: { PATH: bin, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('the bootstrap', () => {
  it('names every missing prerequisite with its fix, and does nothing else', async () => {
    expect(bootstrap()).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'Java 17 or newer is missing. Install it with `apt install openjdk-17-jre-headless` (Debian) or `brew install openjdk@17` (macOS).\n' +
        'Maven (mvn) is missing. Install it with `apt install maven` (Debian) or `brew install maven` (macOS).\n',
    });
    expect(await npmCalls()).toBe('');
  });

  it.each([
    ['1.8.0_392', 8],
    ['11.0.22', 11],
  ])('refuses Java %s', async (version, major) => {
    await java(version);
    await maven();
    const { status, stderr } = bootstrap();
    expect(status).toBe(1);
    expect(stderr).toContain(`Java ${major} is too old: Kafka needs Java 17 or newer.`);
  });

  it('needs no Java where Kafka and the registry run elsewhere', () => {
    const env = { KAFKA_BROKERS: 'broker:9092', SCHEMA_REGISTRY_URL: 'http://registry:8081' };
    expect(bootstrap(env).status).toBe(0);
    expect(bootstrap({ KAFKA_BROKERS: 'broker:9092' }).status).toBe(1);
  });

  it('installs when packages are missing or the lock file has changed, with nothing on stdout', async () => {
    await java('17.0.15');
    await maven();
    expect(bootstrap()).toMatchObject({ status: 0, stdout: '' });
    expect(await npmCalls()).toMatch(/^install --no-save .*\n$/);
    await writeLock('node_modules/.package-lock.json', '0.9.0');
    bootstrap();
    expect((await npmCalls()).split('\n')).toHaveLength(3);
  });

  it('does nothing when all is there', async () => {
    await java('21');
    await maven();
    await writeLock('node_modules/.package-lock.json', '1.0.0');
    expect(bootstrap()).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await npmCalls()).toBe('');
  });

  it('says that the packages could not be installed', async () => {
    await java('17.0.15');
    await maven();
    await tool('npm', 'exit 7');
    const { status, stderr } = bootstrap();
    expect(status).toBe(1);
    expect(stderr).toContain('The npm packages could not be installed (npm install ended with exit code 7)');
  });
});
