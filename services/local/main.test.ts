import { readdir } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { identify } from './process/identity.ts';
import { launcher } from './testing/launcher.ts';

// The NLP service stands for all parts here: it is real, light and needs no other.
const NLP = ['--only', 'nlp', '--json'];

let local: Awaited<ReturnType<typeof launcher>>;
beforeAll(async () => {
  local = await launcher();
});
afterAll(() => local.cleanUp());

const partPid = (ready: { parts: readonly { pid: number | null }[] }): number => ready.parts[0]?.pid ?? 0;

describe('npm start', () => {
  it('prints its usage, and refuses what it does not know with exit code 2', async () => {
    const help = await local.launch(['--help']);
    expect(await help.exited).toEqual({ code: 0, signal: null });
    expect(help.output()).toContain('--data-dir <folder>');
    const wrong = await local.launch(['--only', 'kafak']);
    expect((await wrong.exited).code).toBe(2);
    expect(wrong.output()).toContain(
      '"kafak" is not one of kafka, registry, clickhouse, nlp, gateway, enricher, sink.',
    );
  });

  it('refuses a wrong value with the variable, the value and what is allowed', async () => {
    const run = await local.launch(NLP, { SINK_INSTANCES: 'two' });
    expect((await run.exited).code).toBe(2);
    expect(run.output()).toContain('SINK_INSTANCES is "two"; allowed is an integer from 1 to 64');
  });

  it('refuses to start on a disk that is nearly full', async () => {
    const run = await local.launch(NLP, { MIN_FREE_DISK_MIB: '1000000000' });
    expect((await run.exited).code).toBe(1);
    expect(run.output()).toMatch(/Only \d+ MiB are free on the disk of .*; Parley needs 1000000000 MiB .*--data-dir\./);
    expect(await readdir(local.dataDir)).toEqual([]);
  });

  it('names the folder that cannot be made', async () => {
    const run = await local.launch([...NLP, '--data-dir', '/dev/null/parley']);
    expect((await run.exited).code).toBe(2);
    expect(run.output()).toContain('The data folder /dev/null/parley cannot be made (ENOTDIR)');
    if (process.platform !== 'linux') return;
    // Node's own recursive mkdir never returns here.
    const pseudo = await local.launch([...NLP, '--data-dir', '/proc/parley']);
    expect((await pseudo.exited).code).toBe(2);
    expect(pseudo.output()).toContain('The data folder /proc/parley cannot be made (ENOENT)');
  });

  it('leaves a first one undisturbed when started a second time, and names its pid', async () => {
    const first = await local.launch(NLP);
    const ready = await first.ready();
    const second = await local.launch(NLP);
    expect((await second.exited).code).toBe(1);
    expect(second.output()).toContain(`Parley is already running in ${local.dataDir} (process ${first.pid})`);
    const body = JSON.stringify({ id: '1', text: 'hello' });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${ready.parts[0]?.address}/v1/analyze`, { method: 'POST', headers, body });
    expect(answer.status).toBe(200);
    expect(await identify(partPid(ready))).toBeDefined();
    first.signal('SIGTERM');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(await identify(partPid(ready))).toBeUndefined();
  });

  it('names the port that is in use, its part and its variable, and leaves nothing running', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const run = await local.launch(NLP, { NLP_PORT: String(port) });
    expect((await run.exited).code).toBe(1);
    expect(run.output()).toContain(`Port ${port}, which nlp needs, is in use`);
    expect(run.output()).toContain('set NLP_PORT to a free port');
    expect(await readdir(local.dataDir)).not.toContain('supervisor.lock');
    await new Promise((resolve) => taken.close(resolve));
  });

  it('drains on Ctrl-C, which npm passes on a second time', async () => {
    const run = await local.launch(NLP);
    const ready = await run.ready();
    run.signal('SIGINT');
    run.signal('SIGINT');
    expect(await run.exited).toEqual({ code: 0, signal: null });
    expect(run.output()).toMatch(/nlp +stopped/);
    expect(await identify(partPid(ready))).toBeUndefined();
  });

  it('stops in order when npm itself is told to end, as by a service manager', async () => {
    const npm = await local.launch(NLP, {}, 'npm');
    const ready = await npm.ready();
    npm.signal('SIGTERM');
    await npm.exited;
    await eventually(async () => expect(await identify(partPid(ready))).toBeUndefined());
    expect(npm.output()).toMatch(/nlp +stopped/);
  });

  it('shows the logs when asked, each line with its part', async () => {
    const run = await local.launch(['--only', 'nlp', '--logs', 'nlp']);
    await eventually(() => expect(run.output()).toMatch(/^nlp +\| \{.*nlp is up/m));
    run.signal('SIGTERM');
    await run.exited;
  });

  it('starts again after kill -9 of the supervisor: what it left is gone', async () => {
    const killed = await local.launch(NLP);
    const left = partPid(await killed.ready());
    killed.signal('SIGKILL');
    await killed.exited;
    const next = await local.launch(NLP);
    const ready = await next.ready();
    expect(await identify(left)).toBeUndefined();
    expect(partPid(ready)).not.toBe(left);
    next.signal('SIGTERM');
    expect((await next.exited).code).toBe(0);
    expect(await readdir(join(local.dataDir, 'pids'))).toEqual([]);
  });

  it('does not start what cannot be reached at the address that was given', async () => {
    const run = await local.launch(['--only', 'kafka'], { KAFKA_BROKERS: '127.0.0.1:9', EXTERNAL_TIMEOUT_MS: '300' });
    expect((await run.exited).code).toBe(1);
    expect(run.output()).toContain(
      'kafka at 127.0.0.1:9 (KAFKA_BROKERS) did not answer within 0.3 s: connect ECONNREFUSED',
    );
  });
});
