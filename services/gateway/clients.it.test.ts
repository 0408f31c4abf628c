import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { ParleyClient } from '../client/parley-client.ts';
import { Python, programsOf } from '../client-python/testing/venv.ts';
import { eventually } from '../core/testing/eventually.ts';
import { launchBrowser } from '../local/testing/browser.ts';
import { isolation, type ServiceHandle, spawnService, stopServices } from '../local/testing/stack.ts';
import { ModuleServer } from './testing/module-server.ts';
import { TokenMaker } from './testing/tokens.ts';

/** The clients that come with Parley, each as its users run it, on a gateway and an enricher of this file's own. */
const { TOPIC_PREFIX } = isolation('clients');
const repository = join(import.meta.dirname, '../..');
const python = await Python.find();

let maker: TokenMaker;
let pages: ModuleServer;
let gateway: ServiceHandle;
let browser: Browser;

beforeAll(async () => {
  [maker, pages] = await Promise.all([TokenMaker.create(), ModuleServer.start()]);
  [browser, gateway] = await Promise.all([
    launchBrowser(),
    spawnService('gateway', {
      TOPIC_PREFIX,
      TOPIC_PARTITIONS: '2',
      JWT_PUBLIC_KEY: maker.publicKeyPem,
      ALLOWED_ORIGINS: `http://127.0.0.1:${pages.port}`,
      TOKEN_WARNING_MS: '2000',
      JWT_LEEWAY_S: '0',
    }),
  ]);
  await gateway.ready();
  const enricher = await spawnService('enricher', { TOPIC_PREFIX, TOPIC_PARTITIONS: '2' });
  await enricher.ready();
}, 90_000);

afterAll(async () => {
  await browser?.close();
  await stopServices();
  await pages.stop();
});

async function pageAt(host: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`http://${host}:${pages.port}/`);
  return page;
}

/** How a bare WebSocket of the page fares: the subprotocol that the gateway chose, or the code with which it ended. */
const tryWebSocket = (page: Page, token: string): Promise<{ protocol?: string; code?: number }> =>
  page.evaluate(
    ([url, bearer]) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, ['parley.v1', `bearer.${bearer}`]);
        socket.onmessage = ({ data }) => {
          if (!String(data).includes('welcome')) return;
          resolve({ protocol: socket.protocol });
          socket.close();
        };
        socket.onclose = ({ code }) => resolve({ code });
      }),
    [gateway.url, token] as const,
  );

const handshakes = async (result: string): Promise<number> => {
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const line = metrics
    .split('\n')
    .find((it) => it.startsWith('parley_gateway_handshakes_total{') && it.includes(`result="${result}"`));
  return Number(line?.split(' ').at(-1) ?? 0);
};

describe('a page in a real browser', () => {
  it('connects with the token in the subprotocol list, sends, and receives ack and insight', async () => {
    const page = await pageAt('127.0.0.1');
    const seen = await page.evaluate(
      async ([url, token]) => {
        const path = '/services/client/parley-client.ts';
        const { ParleyClient } = (await import(path)) as typeof import('../client/parley-client.ts');
        const client = await ParleyClient.connect({ url, token, insights: true });
        await client.send({ id: 'm-1', conversation_id: 'c-1', speaker: 'user', text: 'I love your shop, thank you!' });
        let insight: unknown;
        for await (insight of client.insights) break;
        await client.close();
        return { insight, counters: client.counters, limits: client.limits };
      },
      [gateway.url, await maker.sign({ bot: 'page' })] as const,
    );
    expect(seen.counters).toMatchObject({ sent: 1, acked: 1, insights: 1, reconnects: 0, refused: 0 });
    expect(seen.limits.max_in_flight).toBeGreaterThan(0);
    expect(seen.insight).toMatchObject({
      id: 'm-1',
      conversation_id: 'c-1',
      outcome: 'enriched',
      sentiment: { label: 'positive' },
      language: { code: 'en' },
    });
    // The library itself ran, and without the module that needs Node.
    expect(pages.served).toContain('/services/client/link.ts');
    expect(pages.served).not.toContain('/services/client/ws-transport.ts');
    await page.close();
  });

  it('is answered with the subprotocol and never with the token; a bad token or a foreign origin gets no session', async () => {
    const [own, foreign] = await Promise.all([pageAt('127.0.0.1'), pageAt('localhost')]);
    const token = await maker.sign({ bot: 'page' });
    expect(await tryWebSocket(own, token)).toEqual({ protocol: 'parley.v1' });
    expect(await tryWebSocket(own, `${token.slice(0, -4)}AAAA`)).toEqual({ code: 4004 });
    expect(await tryWebSocket(foreign, token)).toEqual({ code: 4003 });
    expect([await handshakes('token_invalid'), await handshakes('origin_forbidden')]).toEqual([1, 1]);
  });
});

describe('the ten lines of', () => {
  let project: string;

  /** `@parley/client` as it is built, in a project that has it installed. */
  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'parley-ten-lines-'));
    const installed = join(project, 'node_modules/@parley/client');
    await mkdir(installed, { recursive: true });
    await copyFile(join(repository, 'services/client/package.json'), join(installed, 'package.json'));
    await symlink(join(repository, 'node_modules/ws'), join(project, 'node_modules/ws'));
    await promisify(execFile)('node', [join(repository, 'services/client/build.ts'), join(installed, 'dist')]);
  });

  afterAll(() => rm(project, { recursive: true, force: true }));

  it.each(['README.md', 'services/client/README.md'])('%s run as they are written', async (page) => {
    const text = await readFile(join(repository, page), 'utf8');
    const [, program = ''] = /```ts\n([\s\S]*?)```/.exec(text) ?? [];
    const here = program.replace('ws://127.0.0.1:8080/v1/stream', gateway.url);
    expect(here).not.toBe(program);
    const { stdout } = await promisify(execFile)('node', ['--input-type=module-typescript', '--eval', here], {
      cwd: project,
      env: { ...process.env, PARLEY_TOKEN: await maker.sign({ bot: page }) },
    });
    expect(stdout).toMatch(/^negative \w+\n$/);
  });
});

describe('the Python client', () => {
  const test = typeof python === 'string' ? it.skip : it;
  const why = typeof python === 'string' ? ` (skipped: ${python})` : '';

  test(`runs the ten lines of README.md, and those of its own page: with asyncio, blocking, and over HTTP${why}`, async () => {
    const pages = ['README.md', 'services/client-python/README.md'].map((page) => programsOf(join(repository, page)));
    const programs = (await Promise.all(pages)).flat();
    expect(programs.length).toBe(3);
    const token = await maker.sign({ bot: 'python' });
    const runs = programs.map((program) => {
      const here = program
        .replaceAll('ws://127.0.0.1:8080/v1/stream', gateway.url)
        .replaceAll('http://127.0.0.1:8080', gateway.url.replace(/^ws(.*)\/v1\/stream$/, 'http$1'));
      return (python as Python).run(['-W', 'error', '-c', here], { PARLEY_TOKEN: token });
    });
    const [ten, own, others] = await Promise.all(runs);
    expect([ten?.stderr, own?.stderr, others?.stderr]).toEqual(['', '', '']);
    expect([ten?.stdout, own?.stdout]).toEqual(Array(2).fill(expect.stringMatching(/^negative \w+\n$/)));
    expect(others?.stdout).toMatch(/^\[None, ParleyError\(.*robot.*\)\]\n$/);
  });
});

describe('a client with a token provider', () => {
  it('outlives its tokens: it changes sessions before each end, and no message notices', async () => {
    const client = await ParleyClient.connect({
      url: gateway.url,
      insights: true,
      tokenProvider: () => maker.sign({ bot: 'long-lived', expiresInS: 3 }),
    });
    let sent = 0;
    await eventually(async () => {
      await client.send({ id: `r-${sent++}`, conversation_id: 'c', speaker: 'user', text: `Message ${sent}` });
      expect(client.counters.renewals).toBeGreaterThanOrEqual(2);
    });
    await eventually(() => expect(client.counters.insights).toBe(sent));
    expect(client.counters).toMatchObject({ sent, acked: sent, resent: 0, postponed: 0, errors: 0 });
    await eventually(() => expect(client.counters.reconnects).toBe(client.counters.renewals));
    await client.close();
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    expect(metrics).not.toMatch(/^parley_gateway_closes_total\{[^}]*code="4001"/m);
  });
});

describe('parley bot', () => {
  it('chats through a pipe: one JSON document on stdout, acks and insights on stderr as they come', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-bot-'));
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, await maker.sign({ bot: 'by-hand' }));
    const args = ['services/cli/main.ts', 'bot', '--url', gateway.url, '--token', tokenFile, '--json'];
    const child = spawn('node', args, { cwd: repository });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
    child.stdin.end('Where is my parcel?\nThis is wonderful, thank you!');
    expect([await exited, err.match(/#\d/g)?.length]).toEqual([0, 4]);
    expect(JSON.parse(out)).toMatchObject({
      sent: 2,
      acked: 2,
      insights: 2,
      refused: {},
      messages: [{ insight: { outcome: 'enriched' } }, { insight: { sentiment: { label: 'positive' } } }],
    });
    expect(err).toMatch(/#2 acked after \d+ ms/);
    expect(err).toMatch(/#2 positive .* after \d+ ms/);
    await rm(folder, { recursive: true, force: true });
  });
});
