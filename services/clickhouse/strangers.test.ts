import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compressFrameSync } from 'lz4-napi';
import { launchBrowser } from '../local/testing/browser.ts';
import { BlockDecompressor, compressBlock } from './compressed-blocks.ts';
import { NativeRevision } from './native-revision.ts';
import { bundle } from './testing/commonjs-bundle.ts';
import {
  createHttpClient,
  type EndpointProcess,
  removeFolder,
  startEndpointProcess,
  temporaryFolder,
} from './testing/endpoint-process.ts';

/** Other people's clients, themselves where npm, Maven or Python have them, else by the bytes that they send. */
const dir = temporaryFolder();
const jars = temporaryFolder();
let endpoint: EndpointProcess;
const { send, run, refusal } = createHttpClient(() => endpoint.url);
const analyst = { user: 'analyst', password: 'analyst' };
const CLIENTS = join(import.meta.dirname, 'testing/clients');
/** A driver has to be fetched once, and compiled beside whatever the machine does. */
const PATIENCE_MS = 300_000;
const PAGE = 'https://dash.example.org';

beforeAll(async () => {
  endpoint = await startEndpointProcess(dir, { CLICKHOUSE_ALLOWED_ORIGINS: PAGE, CLICKHOUSE_MAX_SESSIONS: '3' });
});

afterAll(async () => {
  await endpoint.end('SIGTERM');
  for (const folder of [dir, jars]) removeFolder(folder);
});

/** Lines that a program prints. Never in the foreground: idle connections have to be seen closing meanwhile. */
const ran = async (command: string, args: readonly string[]): Promise<string[]> => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  if (code[0] !== 0) throw new Error(`${command} ended with ${code[0]}: ${out}${err}`);
  return out.trim().split('\n');
};
const port = () => new URL(endpoint.url).port;

describe('JDBC', () => {
  it.each(['0.9.9', '0.10.0'])(
    '%s writes, reads and asks for metadata as DBeaver and Metabase do',
    async (version) => {
      const lib = join(jars, version);
      const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
      const options = [`-Djdbc.version=${version}`, `-DoutputDirectory=${lib}`, '-f', join(CLIENTS, 'pom.xml')];
      await ran('mvn', ['--batch-mode', '--quiet', goal, ...options]);
      await run('DROP TABLE IF EXISTS jdbc');
      const lines = await ran('java', ['-cp', `${lib}/*`, join(CLIENTS, 'Jdbc.java'), port()]);
      expect(lines).toEqual([
        // 0 to 49,999 and 100,000 to 100,002.
        'rows 50003 1250275003 row 9999',
        expect.stringMatching(/^streamed \d+$/),
        'error 60 true',
        'refused 497',
        'prepared row 7',
        'product ClickHouse 26',
        `driver ${version}`,
        ...['schemas', 'catalogs', 'tables', 'table types', 'columns', 'keys', 'types', 'functions', 'indexes'].map(
          (what) => `${what} ok`,
        ),
      ]);
    },
    PATIENCE_MS,
  );
});

describe('clickhouse-connect', () => {
  const python = spawnSync('python3', ['-c', 'import clickhouse_connect'], { encoding: 'utf8' });
  const test = python.status === 0 ? it : it.skip;
  test(
    'keeps sessions, sends LZ4 bodies, forms and external data (needs `pip install clickhouse-connect`)',
    async () => {
      const [, ...lines] = await ran('python3', [join(CLIENTS, 'connect.py'), port()]);
      const query = ["rows [(50000, 1249975000, 'row 9999 ü')]", 'parameters [(7, "it\'s ü")]', 'streamed 538890'];
      const both = [...query, 'external [(5,), (6,)]', 'refused True'];
      expect(lines).toEqual(['session [(42,)]', ...both, ...both]);
    },
    PATIENCE_MS,
  );

  it('finds its forms and frames understood, byte for byte', async () => {
    const form = new FormData();
    form.set('query', 'SELECT {n:UInt8}, (SELECT groupArray(x) FROM ids)');
    form.set('param_n', '7');
    form.set('ids_structure', 'x UInt64');
    form.set('ids', new Blob(['5\n6\n']), 'ids');
    const response = await fetch(`${endpoint.url}/?${new URLSearchParams(analyst)}`, { method: 'POST', body: form });
    expect(await response.text()).toBe('7\t[5,6]\n');
    await run('CREATE TABLE frames (a Int32) ENGINE = MergeTree ORDER BY a');
    const rows = new Uint8Array(compressFrameSync(Buffer.from('1\n2\n')));
    await run(rows, { params: { query: 'INSERT INTO frames FORMAT TSV' }, headers: { 'content-encoding': 'lz4' } });
    expect(await run('SELECT sum(a) FROM frames')).toBe('3\n');
  });

  it.each([
    "x String DEFAULT file('/etc/hostname')",
    "x String) AS SELECT file('/etc/hostname'",
    'x String CODEC(ZSTD)',
    'x file',
    'x',
  ])('cannot bring a table whose structure is more than names and types: %s', async (structure) => {
    const form = new FormData();
    form.set('t_structure', structure);
    form.set('t', new Blob(['1\n']), 't');
    const params = new URLSearchParams({ ...analyst, query: 'SELECT * FROM t' });
    const response = await fetch(`${endpoint.url}/?${params}`, { method: 'POST', body: form });
    expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([400, '36']);
  });
});

describe('ClickHouse’s own compressed blocks', () => {
  it('go both ways', async () => {
    await run('CREATE TABLE blocks (a Int32) ENGINE = MergeTree ORDER BY a');
    const body = new Uint8Array(await compressBlock(Buffer.from('4\n5\n'), 'lz4'));
    await run(body, { params: { query: 'INSERT INTO blocks FORMAT TSV', decompress: '1' } });
    for (const method of ['LZ4', 'ZSTD']) {
      const params = { ...analyst, compress: '1', network_compression_method: method };
      const response = await send('SELECT sum(a) FROM blocks', { params });
      const packed = Buffer.from(await response.arrayBuffer());
      expect((await buffer(Readable.from([packed]).pipe(new BlockDecompressor()))).toString()).toBe('9\n');
    }
    body[20] = 1;
    const params = { query: 'INSERT INTO blocks FORMAT TSV', decompress: '1' };
    expect((await refusal(body, { params }))[1]).toMatch(/^(40|271)$/);
  });
});

describe('clickhouse-go', () => {
  it('finds Native blocks of its revision, byte for byte', async () => {
    const native = async (revision: string) => {
      const params = {
        ...analyst,
        default_format: 'Native',
        client_protocol_version: revision,
        max_execution_time: '65',
      };
      return Buffer.from(await (await send('SELECT 1 AS x', { params })).arrayBuffer()).toString('hex');
    };
    // Columns, rows, name, type, value; before them the head of a block; after the type that it is plain.
    expect(await native('0')).toBe('0101017805' + '55496e7438' + '01');
    expect(await native('54453')).toBe('010002ffffffff00' + '0101017805' + '55496e7438' + '01');
    expect(await native('54460')).toBe('010002ffffffff00' + '0101017805' + '55496e7438' + '00' + '01');
    expect(await native('54480')).toBe('010002ffffffff030000' + '0101017805' + '55496e7438' + '00' + '01');
  });

  it('gets blocks of every type that can be walked over, however they are cut', async () => {
    const sql = `SELECT number AS a, toString(number) AS b, toNullable(b) AS c, [c, NULL] AS d, map(b, d) AS e,
      tuple(number, b) AS f, toLowCardinality(b) AS g, [toLowCardinality(c)] AS h, toDateTime64(number, 3, 'UTC') AS i,
      toDecimal64(number, 2) AS j, toFixedString('ab', 2) AS k, CAST('x', 'Enum8(\\'x\\' = 1, \\'y)(\\' = 2)') AS l,
      generateUUIDv4() AS m, toIPv6('::1') AS n, toInt256(number) AS o, [] AS p, (1, 'z')::Tuple(a UInt8, \`b c\` String) AS q,
      (1, 2)::Point AS r, toDate(number) AS s, INTERVAL number DAY AS t, NULL AS u, number::Bool AS v
      FROM numbers(2000) SETTINGS max_block_size = 700`;
    const answer = await send(sql, { params: { ...analyst, default_format: 'Native' } });
    const raw = Buffer.from(await answer.arrayBuffer());
    if (answer.status !== 200) throw new Error(raw.toString());
    const whole = new NativeRevision(54_460);
    const expected = Buffer.concat([...whole.feed(raw), ...whole.end()]);
    const blocks = (expected.length - raw.length) / (8 + 22);
    expect(blocks).toBeGreaterThanOrEqual(1);
    expect(Number.isInteger(blocks)).toBe(true);
    for (const size of [1_000, 65_536]) {
      const cut = new NativeRevision(54_460);
      const pieces: Buffer[] = [];
      for (let at = 0; at < raw.length; at += size) pieces.push(...cut.feed(raw.subarray(at, at + size)));
      expect(Buffer.concat([...pieces, ...cut.end()]).equals(expected)).toBe(true);
    }
    const params = { ...analyst, default_format: 'Native', client_protocol_version: '54460' };
    expect(await refusal('SELECT sumState(number) FROM numbers(3)', { params })).toEqual([501, '48']);
  });
});

describe('a web page', () => {
  it('of this machine or of the list asks first, and reads the answer; others are refused', async () => {
    const preflight = (origin: string) =>
      fetch(endpoint.url, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
      });
    for (const origin of ['http://localhost:3000', PAGE]) {
      const response = await preflight(origin);
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
      expect(response.headers.get('access-control-allow-headers')).toBe('authorization');
      const answer = await send('SELECT 1', { headers: { origin } });
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    }
    for (const origin of ['https://example.com', 'null', 'http://localhost.example.com']) {
      const response = await preflight(origin);
      expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    }
  });

  it('queries and inserts with @clickhouse/client-web in a browser', async () => {
    const server = createServer((_, response) =>
      response.setHeader('content-type', 'text/html').end('<!doctype html>'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      await page.addScriptTag({ content: bundle('@clickhouse/client-web', 'clickhouse') });
      const result = await page.evaluate(async (url) => {
        // biome-ignore lint/suspicious/noExplicitAny: a global of the page
        const { createClient } = (globalThis as any).clickhouse;
        const writer = createClient({ url });
        await writer.command({ query: 'CREATE TABLE web (id UInt64, name String) ENGINE = MergeTree ORDER BY id' });
        await writer.insert({ table: 'web', values: [{ id: 1, name: 'ü' }], format: 'JSONEachRow' });
        const reader = createClient({ url, username: 'analyst', password: 'analyst' });
        const rows = await reader.query({ query: 'SELECT * FROM web', format: 'JSONEachRow', query_id: 'from-a-page' });
        const error = await reader.query({ query: 'SELECT * FROM nowhere' }).catch((reason: Error) => reason.message);
        return { rows: await rows.json(), id: rows.query_id, error: String(error) };
      }, endpoint.url);
      expect(result).toEqual({
        rows: [{ id: expect.anything(), name: 'ü' }],
        id: 'from-a-page',
        error: expect.stringContaining('nowhere'),
      });
    } finally {
      await browser.close();
      server.close();
    }
  });
});

describe('sessions', () => {
  it('are bounded by user, and end with close_session', async () => {
    const open = (user: Record<string, string>, id: string, more: Record<string, string> = {}) =>
      refusal('SELECT 1', { params: { ...user, session_id: id, ...more } });
    for (const id of ['a', 'b', 'c']) expect(await open(analyst, id)).toEqual([200, null]);
    expect(await open(analyst, 'd')).toEqual([503, '202']);
    expect(await open({}, 'd')).toEqual([200, null]);
    expect(await open(analyst, 'a', { close_session: '1' })).toEqual([200, null]);
    expect(await open(analyst, 'd')).toEqual([200, null]);
    expect(await open(analyst, 'a', { session_check: '1' })).toEqual([500, '372']);
  });
});
