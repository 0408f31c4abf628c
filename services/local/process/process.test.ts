import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { Child } from './child.ts';
import { identify, isRunning } from './identity.ts';
import { endLeftovers, recordProcess } from './leftovers.ts';
import { isLock, tryLock } from './lock.ts';
import { LogFile } from './log-file.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-process-'));
});
afterAll(() => rm(dir, { recursive: true }));

const startNode = (script: string) =>
  Child.start({ command: process.execPath, args: ['-e', script], env: process.env, onOutput: () => {} });

describe('a process identity', () => {
  it('holds for one run of one process', async () => {
    const child = await startNode('setInterval(() => {}, 1000)');
    const identity = await identify(child.pid);
    if (!identity) throw new Error('the child has no identity');
    expect(await isRunning(identity)).toBe(true);
    expect(await isRunning({ ...identity, started: `${identity.started}0` })).toBe(false);
    await child.stop(1_000);
    expect(await isRunning(identity)).toBe(false);
  });
});

describe('the lock file', () => {
  it('is held by one, and names the holder', async () => {
    const path = join(dir, 'one.lock');
    const results = await Promise.all(Array.from({ length: 8 }, () => tryLock(path)));
    const [held, ...more] = results.filter(isLock);
    expect(more).toEqual([]);
    expect(results.filter((result) => !isLock(result))).toEqual(
      Array.from({ length: 7 }, () => expect.objectContaining({ pid: process.pid })),
    );
    await held?.release();
    expect(isLock(await tryLock(path))).toBe(true);
  });

  it('is taken over once its process is gone, even when the pid was given away again', async () => {
    const path = join(dir, 'stale.lock');
    await writeFile(path, JSON.stringify({ pid: process.pid, started: 'an earlier boot:1' }));
    expect(isLock(await tryLock(path))).toBe(true);
  });

  it('left half written is taken over', async () => {
    const path = join(dir, 'half.lock');
    await writeFile(path, '{"pid":');
    expect(isLock(await tryLock(path))).toBe(true);
  });
});

describe('a log file', () => {
  it('is bounded: past its size it becomes .1 and starts anew', async () => {
    const log = new LogFile(join(dir, 'logs/a.log'), 20);
    for (const line of ['first line\n', 'second line\n', 'third line\n']) log.write(Buffer.from(line));
    expect(await readFile(`${log.path}.1`, 'utf8')).toBe('second line\n');
    expect(log.tail(5)).toEqual(['third line']);
    log.close();
  });
});

describe('a child', () => {
  it('ends by itself when its starter is killed with -9, even one that ignores TERM', async () => {
    const childModule = JSON.stringify(join(import.meta.dirname, 'child.ts'));
    const deaf = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
    const script = `
      const { Child } = await import(${childModule});
      const options = { command: process.execPath, env: process.env, onOutput: () => {} };
      const children = [];
      for (const code of ['setInterval(() => {}, 1000)', ${JSON.stringify(deaf)}])
        children.push(await Child.start({ ...options, args: ['-e', code] }));
      console.log(JSON.stringify(children.map(({ pid }) => pid)));
      setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await starter.stdout.take(1).toArray();
    const pids = JSON.parse(String(line)) as number[];
    const identities = await Promise.all(pids.map(identify));
    expect(identities).toEqual([expect.anything(), expect.anything()]);
    starter.kill('SIGKILL');
    await eventually(async () => {
      expect(await Promise.all(pids.map(identify))).toEqual([undefined, undefined]);
    });
  });
});

describe('what a killed supervisor left', () => {
  it('is ended, and only exactly that: a process with a recycled pid is let be', async () => {
    const pidDir = join(dir, 'pids');
    const [left, innocent] = [
      await startNode('setInterval(() => {}, 1000)'),
      await startNode('setInterval(() => {}, 1000)'),
    ];
    await recordProcess(pidDir, 'left', left.pid);
    await writeFile(join(pidDir, 'recycled.json'), JSON.stringify({ pid: innocent.pid, started: 'an earlier boot:1' }));
    await writeFile(join(pidDir, 'half.json'), '{"pid":');
    expect(await endLeftovers(pidDir, 2_000)).toEqual([`left (${left.pid})`]);
    expect(await identify(left.pid)).toBeUndefined();
    expect(await identify(innocent.pid)).toBeDefined();
    expect(await endLeftovers(pidDir, 2_000)).toEqual([]);
    await innocent.stop(1_000);
  });

  it('may be nothing at all', async () => {
    expect(await endLeftovers(join(dir, 'nowhere'), 100)).toEqual([]);
  });
});
