import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../services/core/random.ts';
import { interleaved, measure, textsOf } from './hit-rate.ts';

const folder = mkdtempSync(join(tmpdir(), 'parley-hits-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, texts: readonly string[]): string {
  const file = join(folder, name);
  const lines = texts.map((text) => JSON.stringify({ conversation_id: 'c', speaker: 'user', text }));
  writeFileSync(file, gzipSync(`${[...lines, 'no message'].join('\n')}\n`));
  return file;
}
const program = (args: readonly string[], env = {}) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

describe('the cache’s hit rate', () => {
  it('counts what the cache answers, and what it would have, had it room', async () => {
    const file = fileOf('a.jsonl.gz', ['yes', 'no', ' yes ', 'Yes', 'yes']);
    expect(await measure('a', textsOf(file), 1 << 20)).toMatchObject({ messages: 5, hits: 2, evicted: 0, entries: 3 });
    expect(await measure('a', textsOf(file), 300)).toMatchObject({ messages: 5, hits: 0, evicted: 2, entries: 1 });
  });

  it('mixes streams, each in its own order', async () => {
    const [a, b] = [fileOf('b.jsonl.gz', ['1', '2', '3']), fileOf('c.jsonl.gz', ['x', 'y', 'z'])];
    const mixed: string[] = [];
    for await (const text of interleaved([a, b].map(textsOf), seededRandom(3))) mixed.push(text);
    expect(mixed.filter((text) => text < 'a')).toEqual(['1', '2', '3']);
    expect(mixed.filter((text) => text > 'a')).toEqual(['x', 'y', 'z']);
    expect(mixed).not.toEqual(['1', '2', '3', 'x', 'y', 'z']);
  });

  it('is a program that says what is wrong, and skips what is not there', () => {
    const [a, b] = [fileOf('d.jsonl.gz', ['yes', 'yes']), fileOf('e.jsonl.gz', ['yes'])];
    const run = program(['--json', a, b]);
    expect(JSON.parse(run.stdout).rates).toMatchObject([
      { stream: 'd', messages: 2, hits: 1 },
      { stream: 'e', messages: 1, hits: 0 },
      { stream: 'all, mixed', messages: 3, hits: 2 },
    ]);
    expect(program([], { PARLEY_SHARED_DATA: join(folder, 'absent') })).toMatchObject({
      status: 0,
      stdout: '',
      stderr: expect.stringContaining('Skipped: the chat data is not there'),
    });
    expect(program(['--nope'])).toMatchObject({ status: 2 });
    expect(program([join(folder, 'absent.gz')])).toMatchObject({ status: 1 });
  });
});
