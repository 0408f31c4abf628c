import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';
import { launchBrowser } from '../local/testing/browser.ts';
import { ensureRuntimes, find, type Runtimes } from './testing/runtimes.ts';
import { ScriptedGateway } from './testing/scripted-gateway.ts';

/** The package as its users have it: packed, and installed into a project that has nothing else. */
const run = promisify(execFile);

let project: string;
let runtimes: Runtimes;
let gateway: ScriptedGateway;
let url: string;

/** Connects, loses the connection, is acked, and is refused for good: on both transports what a bot needs. */
const PROGRAM = `
async function main({ ParleyClient, ParleyClientError }, url) {
  const client = await ParleyClient.connect({ url, token: 'secret', backoff: { minMs: 1, maxMs: 5 } });
  await client.send({ id: 'lose-me', conversation_id: 'c', speaker: 'user', text: 'Hi' });
  const refused = await client.send({ id: 'refuse-me', conversation_id: 'c', speaker: 'user', text: 'Hi' }).catch((e) => e);
  await client.close();
  const { sent, acked, resent, reconnects } = client.counters;
  return { sent, acked, resent, reconnects, code: refused.code, own: refused instanceof ParleyClientError };
}`;
const OUTCOME = { sent: 3, acked: 1, resent: 1, reconnects: 1, code: 'text_too_long', own: true };
const FILES = {
  'package.json': '{ "private": true }',
  'import.mjs': `import * as parley from '@parley/client';${PROGRAM}
console.log(JSON.stringify(await main(parley, process.argv[2])));`,
  'require.cjs': `const parley = require('@parley/client');${PROGRAM}
main(parley, process.argv[2]).then((outcome) => console.log(JSON.stringify(outcome)));`,
  'page.js': `import * as parley from '@parley/client';${PROGRAM}
globalThis.outcome = main(parley, globalThis.gatewayUrl);`,
  'strict.mts': `
import { type ClientOptions, type Insight, ParleyClient, ParleyClientError, type Transport } from '@parley/client';
const options: ClientOptions = { url: 'ws://127.0.0.1/v1/stream', tokenProvider: async () => 'token', insights: true };
export async function bot(transport: Transport): Promise<string | undefined> {
  const client = await ParleyClient.connect({ ...options, transport, listeners: { onAck: (id: string) => void id } });
  try {
    await client.send({ conversation_id: 'c', speaker: 'user', text: 'Hi', metadata: { n: 1, yes: true } });
    // @ts-expect-error there is no such speaker
    await client.send({ conversation_id: 'c', speaker: 'robot', text: 'Hi' });
  } catch (error) {
    if (error instanceof ParleyClientError) return error.detail ?? error.code;
  }
  for await (const insight of client.insights) return (insight satisfies Insight).sentiment?.label;
  return undefined;
}
`,
  'required.cts': `
import parley = require('@parley/client');
export const connect: (options: parley.ClientOptions) => Promise<parley.ParleyClient> = parley.ParleyClient.connect;
`,
};

beforeAll(async () => {
  gateway = new ScriptedGateway();
  gateway.onMessage = ({ id, attempt }, socket) => {
    if (id === 'lose-me' && attempt === 1) socket.terminate();
    else if (id === 'lose-me') gateway.say({ type: 'ack', ids: [id], conversation_ids: ['c'] }, socket);
    else gateway.say({ type: 'nack', id, conversation_id: 'c', code: 'text_too_long', message: 'x' }, socket);
  };
  project = await mkdtemp(join(tmpdir(), 'parley-client-user-'));
  [url, runtimes] = await Promise.all([gateway.listen(), ensureRuntimes(), installPackage()]);
}, 300_000);

afterAll(async () => {
  await gateway.stop();
  await rm(project, { recursive: true, force: true });
});

/** Packed from a folder of its own: a `dist/` that comes and goes in the repository would trouble tests that read all of it. */
async function installPackage(): Promise<void> {
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(project, name), text);
  const staged = join(project, 'staged');
  await mkdir(staged);
  for (const file of ['package.json', 'README.md']) {
    await copyFile(join(import.meta.dirname, file), join(staged, file));
  }
  await run(process.execPath, [join(import.meta.dirname, 'build.ts'), join(staged, 'dist')]);
  const pack = ['pack', '--ignore-scripts', '--pack-destination', project, '--json'];
  const { stdout } = await run('npm', pack, { cwd: staged });
  const filename = /"filename": *"([^"]+)"/.exec(stdout)?.[1] ?? '';
  const install = ['install', join(project, filename), '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', install, { cwd: project });
}

const outcomeOf = async (program: string, args: readonly string[]) =>
  JSON.parse((await run(program, [...args, url], { cwd: project })).stdout);

describe('@parley/client, packed and installed into an empty project', () => {
  it('brings ws and nothing else, and no source', async () => {
    const lock = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8')) as { packages: object };
    const installed = Object.keys(lock.packages).filter((path) => path !== '');
    expect(installed.sort()).toEqual(['node_modules/@parley/client', 'node_modules/ws']);
    const bundle = await readFile(join(project, 'node_modules/@parley/client/dist/browser.js'), 'utf8');
    expect(bundle).not.toMatch(/\b(import|require)\b *\(|^import/m);
  });

  it.each(['Node 20', 'Node 22', 'Node 24'])('runs on %s by import and by require', async (name) => {
    const node = runtimes.nodes[name] ?? '';
    const { stdout } = await run(node, ['--version']);
    expect(`Node ${stdout.slice(1, 3)}`).toBe(name);
    expect(await Promise.all([outcomeOf(node, ['import.mjs']), outcomeOf(node, ['require.cjs'])])).toEqual([
      OUTCOME,
      OUTCOME,
    ]);
  });

  it('runs in a browser, out of a bundle', async () => {
    const bundle = await build({
      entryPoints: [join(project, 'page.js')],
      bundle: true,
      write: false,
      logLevel: 'error',
    });
    const script = bundle.outputFiles[0]?.text ?? '';
    const pages: Server = createServer((_, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>A page with a bot</title>');
    });
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`);
      await page.evaluate(`globalThis.gatewayUrl = ${JSON.stringify(url)}`);
      await page.addScriptTag({ content: script });
      expect(await page.evaluate('globalThis.outcome')).toEqual(OUTCOME);
    } finally {
      await browser.close();
      pages.close();
    }
  });

  it.each([
    ['node16', 'node16'],
    ['bundler', 'esnext'],
  ])('type-checks with TypeScript 5 in a strict project, moduleResolution %s', async (moduleResolution, module) => {
    const files = moduleResolution === 'bundler' ? ['strict.mts'] : ['strict.mts', 'required.cts'];
    const compilerOptions = {
      ...{ module, moduleResolution, target: 'es2022', lib: ['es2022'], types: [], noEmit: true },
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    };
    await mkdir(join(project, moduleResolution), { recursive: true });
    const config = join(project, moduleResolution, 'tsconfig.json');
    await writeFile(config, JSON.stringify({ compilerOptions, files: files.map((file) => `../${file}`) }));
    const checked = await run(process.execPath, [runtimes.tsc5, '-p', config]).catch(
      (error: { stdout: string }) => error,
    );
    expect(checked.stdout).toBe('');
  });

  for (const [name, args] of [
    ['deno', ['run', '--allow-all', '--node-modules-dir=manual', 'import.mjs']],
    ['bun', ['import.mjs']],
  ] as const) {
    const program = find(name);
    (program ? it : it.skip)(`runs on ${name} (skipped where the machine has none)`, async () => {
      expect(await outcomeOf(program ?? '', args)).toEqual(OUTCOME);
    });
  }
});
