import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const KIT = join(import.meta.dirname, 'main.ts');
const scenarios = JSON.parse(readFileSync(join(import.meta.dirname, 'scenarios.json'), 'utf8')) as readonly unknown[];
const DRIVER = join(import.meta.dirname, 'driver.ts');

const kit = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile('node', [KIT, ...args], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

/** A client that connects, and tells of every message that it is acked. */
const LIAR = `
process.stdin.on('data', (chunk) => {
  for (const line of String(chunk).trim().split('\\n')) {
    const { client, do: doing, url, message, tokens = ['token'] } = JSON.parse(line);
    const tell = (event) => console.log(JSON.stringify({ client, ...event }));
    if (doing === 'send') tell({ event: 'acked', id: message.id });
    if (doing === 'connect') {
      const socket = new WebSocket(url, ['parley.v1', 'bearer.' + tokens[0]]);
      socket.onmessage = () => tell({ event: 'connected' });
      socket.onerror = () => {};
    }
  }
});`;

describe('the conformance kit', () => {
  it('finds nothing to say against the TypeScript client', async () => {
    const { code, stdout } = await kit('--json', '--', 'node', DRIVER);
    expect(JSON.parse(stdout)).toEqual({ passed: scenarios.length, failed: [], skipped: [] });
    expect(code).toBe(0);
  });

  it('finds out a client that sends nothing, and says at which step', async () => {
    const { code, stdout } = await kit(
      '--step-ms',
      '1500',
      '--only',
      'ack',
      '--only',
      'handshake',
      '--',
      'node',
      '-e',
      LIAR,
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/^passed handshake$/m);
    expect(stdout).toMatch(/^failed ack: step 7, .*: no frame within 1500 ms$/m);
  });

  it('fails every scenario of a driver that ends, and refuses wrong usage', async () => {
    const ended = await kit('--only', 'ack', '--', 'node', '-e', 'process.exit(3)');
    expect([ended.code, ended.stdout]).toEqual([1, expect.stringContaining('the driver ended with 3')]);
    const [none, unknown] = await Promise.all([kit(), kit('--only', 'akc', '--', 'node')]);
    expect([none.code, unknown.code]).toEqual([2, 2]);
    expect(unknown.stderr).toContain('there is no scenario akc');
  });
});
