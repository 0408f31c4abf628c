import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';

const main = join(import.meta.dirname, 'main.ts');
const started: ChildProcess[] = [];
let runDir: string;

beforeAll(async () => {
  runDir = await mkdtemp(join(tmpdir(), 'nlp-main-'));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rm(runDir, { recursive: true }));

function launch(env: Record<string, string>) {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], NLP_PORT: '0', ADMIN_PORT: '0', PARLEY_RUN_DIR: runDir, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const exited = once(child, 'close').then(([code]) => ({ code: code as number, output }));
  const instance = () =>
    eventually(async () => {
      const file = (await readdir(runDir)).find((name) => name.endsWith(`-${child.pid}.json`));
      if (!file) throw new Error('no instance file yet');
      return JSON.parse(await readFile(join(runDir, file), 'utf8')) as { url: string; admin_url: string };
    });
  return { child, exited, instance };
}

const analyze = (url: string) =>
  fetch(`${url}/v1/analyze`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"id":"a","text":"Guten Tag"}',
  });

describe('the NLP service as a process', () => {
  it('serves, counts, injects faults and drains on SIGTERM', async () => {
    const { child, exited, instance } = launch({
      NLP_LATENCY_MEAN_MS: '20',
      NLP_LATENCY_P99_MS: '35',
      NLP_FAULTS: '{"errors":{"503":1}}',
    });
    const { url, admin_url: adminUrl } = await instance();
    expect((await analyze(url)).status).toBe(503);
    expect((await fetch(`${adminUrl}/faults`, { method: 'DELETE' })).status).toBe(200);
    expect(await (await analyze(url)).json()).toMatchObject({ language: { code: 'de' } });
    expect(await (await fetch(`${adminUrl}/readyz`)).json()).toMatchObject({ ready: true });
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    for (const line of [
      /^parley_nlp_requests_total\{route="analyze",status="503",service="nlp"\} 1$/m,
      /^parley_nlp_requests_total\{route="analyze",status="200",service="nlp"\} 1$/m,
      /^parley_nlp_documents_total\{result="analysed",service="nlp"\} 1$/m,
      /^parley_nlp_faults_injected_total\{kind="error",service="nlp"\} 1$/m,
      /^parley_nlp_request_duration_seconds_count\{[^}]*route="analyze"[^}]*\} 2$/m,
      /^parley_nlp_in_flight\{service="nlp"\} 0$/m,
    ]) {
      expect(metrics).toMatch(line);
    }
    child.kill('SIGTERM');
    expect((await exited).code).toBe(0);
    expect(await readdir(runDir)).toEqual([]);
  });

  it.each([
    [{ NLP_PORT: 'http' }, 'NLP_PORT'],
    [{ NLP_LATENCY_MEAN_MS: '200', NLP_LATENCY_P99_MS: '100' }, 'NLP_LATENCY_P99_MS is 100'],
    [{ NLP_FAULTS: '{"hang":1}' }, 'NLP_FAULTS is wrong'],
  ])('ends with code 2 and the reason for %j', async (env, reason) => {
    const { code, output } = await launch(env).exited;
    expect(code).toBe(2);
    expect(output).toContain(reason);
  });

  it('ends with code 1 when its port is taken', async () => {
    const { instance } = launch({});
    const { url } = await instance();
    const { code, output } = await launch({ NLP_PORT: new URL(url).port }).exited;
    expect(code).toBe(1);
    expect(output).toContain('PORT_IN_USE');
  });
});
