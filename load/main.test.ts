import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { BENCHES } from './benches.ts';

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const load = (...args: string[]): Promise<Run> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], (error, stdout, stderr) =>
      resolve({ exitCode: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

describe('npm run load', () => {
  it('lists every bench, as text and as JSON, and the README answers for each', async () => {
    const names = BENCHES.map(({ name }) => name);
    const [text, json] = await Promise.all([load('--list'), load('--list', '--json')]);
    expect([text.exitCode, json.exitCode]).toEqual([0, 0]);
    for (const name of names) expect(text.stdout).toContain(name);
    expect(JSON.parse(json.stdout).benches.map(({ name }: { name: string }) => name)).toEqual(names);
    const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
    for (const name of names) expect(readme).toContain(`npm run load -- ${name}`);
    for (const { main } of BENCHES) expect([main, existsSync(join(import.meta.dirname, main))]).toEqual([main, true]);
  });

  it('passes options to the bench that is named, and to the open loop where none is', async () => {
    const [traces, none] = await Promise.all([load('traces', '--port', 'x'), load('--rate', 'fast')]);
    expect([traces.exitCode, none.exitCode]).toEqual([2, 2]);
    expect(traces.stderr).toContain('--port');
    expect(none.stderr).toContain('Allowed is a number, 0.1 to 100000.');
  });

  it('refuses a bench that there is none of with exit code 2, and names those there are', async () => {
    const { exitCode, stderr } = await load('enrichr');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('"enrichr" is no bench');
    for (const { name } of BENCHES) expect(stderr).toContain(name);
  });
});
