import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ensureJars } from './jars.ts';

// A Maven of our own stands in: what is tested is how its success and its failure are dealt with.
let dir: string;
let cache: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-jars-'));
  cache = join(dir, 'cache');
  await mkdir(join(dir, 'bin'));
});
afterEach(() => rm(dir, { recursive: true }));

async function maven(script: string): Promise<void> {
  await writeFile(join(dir, 'bin/mvn'), `#!/bin/sh\necho run >>${dir}/calls\n${script}\n`);
  await chmod(join(dir, 'bin/mvn'), 0o755);
}

const jars = (report: (line: string) => void, env = { PATH: `${join(dir, 'bin')}:${process.env['PATH']}` }) =>
  ensureJars({ cacheDir: cache, env, report });

/** Fills the folder that its last argument names. */
const FILLS = 'for a in "$@"; do :; done; d=$(echo "$a" | cut -d= -f2); mkdir "$d"; echo jar >"$d/a.jar"';
const calls = async () => (await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n').length;

describe('the cache of jars', () => {
  it('downloads each bundle once, however many ask at the same time', async () => {
    await maven(FILLS);
    const lines: string[] = [];
    const report = (line: string) => lines.push(line);
    const [first, ...same] = await Promise.all([1, 2, 3].map(() => jars(report)));
    expect(same.map(({ kafka }) => kafka)).toEqual([first?.kafka, first?.kafka]);
    expect(await calls()).toBe(2);
    expect(await readdir(first?.kafka ?? '')).toEqual(['a.jar']);
    expect(lines.filter((line) => line.startsWith('Downloading'))).toEqual([
      'Downloading Apache Kafka (54 MB) with Maven, once',
      'Downloading Apicurio Registry (109 MB) with Maven, once',
    ]);
    await jars(report);
    expect(await calls()).toBe(2);
  });

  it('keeps nothing of a failed download, says why, and succeeds the next time', async () => {
    await maven(`${FILLS}; echo "[ERROR] Could not transfer artifact x: no route to host"; exit 1`);
    await expect(jars(() => {})).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(
        /^Apache Kafka .* could not be downloaded .*: Could not transfer artifact x: no route/,
      ),
    });
    expect(await readdir(cache)).toEqual([]);
    await maven(FILLS);
    await jars(() => {});
    expect(await readdir(cache)).toHaveLength(2);
  });

  it('names Maven when it is missing', async () => {
    await expect(jars(() => {}, { PATH: join(dir, 'bin') })).rejects.toMatchObject({ code: 'PREREQUISITE_MISSING' });
  });
});
