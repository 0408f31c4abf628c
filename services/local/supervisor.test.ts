import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import type { Part } from './parts/part.ts';
import { httpProbe } from './parts/probes.ts';
import { identify } from './process/identity.ts';
import type { PartEvent } from './runners/runner.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';
import { type FixtureFolder, fixtureFolder, STAYS } from './testing/fixture-part.ts';

const RESTART = { limit: 5, windowMs: 60_000, baseDelayMs: 10, maxDelayMs: 50 };

let fixtures: FixtureFolder;
let current: Supervisor | undefined;
beforeAll(async () => {
  fixtures = await fixtureFolder();
});
afterEach(() => current?.stop());
afterAll(() => fixtures.remove());

function supervise(parts: readonly Part[], options: Partial<SupervisorOptions> = {}) {
  const events: PartEvent[] = [];
  const supervisor = new Supervisor({
    parts,
    logDir: join(fixtures.dir, 'logs'),
    pidDir: join(fixtures.dir, 'pids'),
    env: process.env,
    emit: (event) => events.push(event),
    restart: RESTART,
    ...options,
  });
  current = supervisor;
  const told = (type: PartEvent['type']) => events.filter((event) => event.type === type).map(({ part }) => part);
  return { supervisor, events, told };
}

const positions = (names: readonly string[]) => Object.fromEntries(names.map((name, index) => [name, index]));

describe('starting and stopping', () => {
  it('starts a part once what it needs is ready, and stops in reverse', async () => {
    const { part } = fixtures;
    const { supervisor, events, told } = supervise([
      part('sink', { needs: ['log', 'store'] }),
      part('log'),
      part('api', { needs: ['log'] }),
      part('store'),
    ]);
    await supervisor.start();
    const order = events.map(({ type, part: name }) => `${type} ${name}`);
    expect(order.indexOf('starting sink')).toBeGreaterThan(order.indexOf('ready log'));
    expect(order.indexOf('starting sink')).toBeGreaterThan(order.indexOf('ready store'));
    expect(order.indexOf('starting api')).toBeGreaterThan(order.indexOf('ready log'));
    await supervisor.stop();
    const stopped = positions(told('stopped'));
    expect(Object.keys(stopped).sort()).toEqual(['api', 'log', 'sink', 'store']);
    expect(stopped['log']).toBeGreaterThan(Math.max(stopped['sink'] ?? 9, stopped['api'] ?? 9));
    expect(stopped['store']).toBeGreaterThan(stopped['sink'] ?? 9);
  });

  it('starts a part beside another without waiting, and still stops it first', async () => {
    const { part } = fixtures;
    const { supervisor, events, told } = supervise([part('broker'), part('registry', { beside: ['broker'] })]);
    await supervisor.start();
    expect(events.slice(0, 2).map(({ type }) => type)).toEqual(['starting', 'starting']);
    await supervisor.stop();
    expect(told('stopped')).toEqual(['registry', 'broker']);
  });

  it('ends a part that ignores TERM once its grace is over', async () => {
    const deaf = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);';
    const { supervisor } = supervise([fixtures.part('deaf', { script: deaf, stopGraceMs: 300 })]);
    await supervisor.start();
    const pid = supervisor.pidOf('deaf') ?? 0;
    await supervisor.stop();
    expect(await identify(pid)).toBeUndefined();
  });

  it('refuses a port that is in use before anything is started, naming port, part and variable', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const ports = [{ port, variable: 'STORE_PORT' }];
    const { supervisor, events } = supervise([fixtures.part('log'), fixtures.part('store', { ports })]);
    const message = `Port ${port}, which store needs, is in use by another process: stop that process or set STORE_PORT to a free port.`;
    await expect(supervisor.start()).rejects.toMatchObject({ code: 'PORT_IN_USE', message });
    expect(events).toEqual([]);
    await new Promise((resolve) => taken.close(resolve));
  });

  it('gives up on a part that never gets ready, with its last words, and stops the rest', async () => {
    const mute = fixtures.part('mute', {
      script: `console.log("looking for the store"); ${STAYS}`,
      ready: () => Promise.reject(new Error('no answer')),
      readyTimeoutMs: 600,
    });
    const { supervisor, told } = supervise([fixtures.part('log'), mute]);
    await expect(supervisor.start()).rejects.toMatchObject({
      code: 'NOT_READY',
      message: expect.stringMatching(
        /^mute was not ready within 0.6 s: no answer\. Log: .*\n {2}looking for the store$/s,
      ),
    });
    expect(told('stopped')).toContain('log');
  });
});

describe('keeping parts up', () => {
  it('starts a part again that ended by itself', async () => {
    const { supervisor, told } = supervise([fixtures.part('worker')]);
    await supervisor.start();
    const before = supervisor.pidOf('worker') ?? 0;
    process.kill(before, 'SIGKILL');
    await eventually(() => expect(told('ready')).toEqual(['worker', 'worker']));
    expect(supervisor.pidOf('worker')).not.toBe(before);
    expect(told('exited')).toEqual(['worker']);
  });

  it('calls five ends within the window a crash loop: one sentence with the log, everything stopped', async () => {
    const crashing = fixtures.part('crashing', {
      needs: ['log'],
      ready: () => Promise.reject(new Error('no')),
      script:
        'console.log(JSON.stringify({ level: "fatal", message: "no start", err: { message: "no store" } })); process.exit(7);',
    });
    const { supervisor, told } = supervise([fixtures.part('log'), crashing]);
    await expect(supervisor.start()).rejects.toMatchObject({
      code: 'SERVICE_CRASH_LOOP',
      message: expect.stringMatching(
        /^crashing ended 5 times within 60 s, last with exit code 7\. Log: \S+crashing\.log\. Its last lines:\n {2}fatal: no start: no store$/,
      ),
    });
    expect(told('exited')).toHaveLength(4);
    expect(told('stopped')).toEqual(['log']);
  });

  it('tells of a crash loop that begins after the start, too', async () => {
    const { supervisor } = supervise([fixtures.part('frail', { script: 'setTimeout(() => process.exit(1), 300);' })]);
    await supervisor.start();
    await expect(supervisor.failed).rejects.toMatchObject({ code: 'SERVICE_CRASH_LOOP' });
  });

  it('does not start a part again that refuses its configuration', async () => {
    const script = 'console.error("LIMIT is many"); process.exit(2);';
    const refusing = fixtures.part('refusing', { script, ready: () => Promise.reject(new Error('no')) });
    const { supervisor, told } = supervise([refusing]);
    await expect(supervisor.start()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('LIMIT is many'),
    });
    expect(told('exited')).toEqual([]);
  });

  it('waits with full jitter, up to a cap', async () => {
    const script = 'process.exit(1);';
    const part = fixtures.part('hasty', { script, ready: () => Promise.reject(new Error('no')) });
    const { supervisor, events } = supervise([part], { random: () => 0.5 });
    await expect(supervisor.start()).rejects.toMatchObject({ code: 'SERVICE_CRASH_LOOP' });
    const delays = events.flatMap((event) => (event.type === 'exited' ? [event.restartInMs] : []));
    expect(delays).toEqual([5, 10, 20, 25]);
  });
});

describe('a part of somebody else', () => {
  it('that cannot be reached is one sentence with its variable and without the password', async () => {
    const address = 'http://reader:hush@127.0.0.1:9';
    const { supervisor } = supervise([
      {
        kind: 'external',
        name: 'clickhouse',
        needs: [],
        variable: 'CLICKHOUSE_URL',
        address,
        ready: httpProbe(`${address}/ping`),
        readyTimeoutMs: 400,
      },
    ]);
    const failure = await supervisor.start().catch((error: Error) => error.message);
    expect(failure).toMatch(/^clickhouse at http:\/\/127\.0\.0\.1:9 \(CLICKHOUSE_URL\) did not answer within 0\.4 s: /);
    expect(failure).not.toContain('hush');
  });
});
