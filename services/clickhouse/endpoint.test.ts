import { spawnSync } from 'node:child_process';
import { type AddressInfo, connect, createServer } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import {
  createHttpClient,
  EndedAtStart,
  type EndpointProcess,
  removeFolder,
  startEndpointProcess,
  temporaryFolder,
} from './testing/endpoint-process.ts';

/** The HTTP interface as curl and Grafana use it, its bounds and its life. */
const dir = temporaryFolder();
const MAX_BODY_BYTES = 2 * 1024 * 1024;
let endpoint: EndpointProcess;

beforeAll(async () => {
  endpoint = await startEndpointProcess(dir, {
    CLICKHOUSE_MAX_BODY_BYTES: String(MAX_BODY_BYTES),
    CLICKHOUSE_MAX_READERS: '3',
    CLICKHOUSE_MAX_ANALYST_READERS: '2',
    CLICKHOUSE_MAX_WRITERS: '2',
    CLICKHOUSE_MAX_WAITING: '2',
    CLICKHOUSE_SEND_TIMEOUT_MS: '4000',
    LOG_LEVEL: 'debug',
  });
});

afterAll(async () => {
  await endpoint.end('SIGTERM');
  removeFolder(dir);
});

const { send, run, refusal } = createHttpClient(() => endpoint.url);
const summaryOf = (response: Response) =>
  JSON.parse(response.headers.get('x-clickhouse-summary') ?? '{}') as Record<string, string>;

describe('requests', () => {
  it('answers /ping and /, and names what there is elsewhere', async () => {
    for (const path of ['/ping', '/', '/replicas_status']) {
      expect(await (await fetch(endpoint.url + path)).text()).toBe('Ok.\n');
    }
    expect((await fetch(`${endpoint.url}/play`)).status).toBe(404);
  });

  it('joins URL and body, and takes database and format from header or URL', async () => {
    expect(await run('+ 1', { params: { query: 'SELECT 1' } })).toBe('2\n');
    expect(await (await send(undefined, { params: { query: 'SELECT 3' } })).text()).toBe('3\n');
    const headers = { 'x-clickhouse-database': 'system', 'x-clickhouse-format': 'CSV' };
    expect(await run("SELECT 'a', currentDatabase()", { headers })).toBe('"a","system"\n');
    expect(await run("SELECT 'a' FORMAT JSONEachRow", { headers })).toBe(`{"'a'":"a"}\n`);
    expect(await refusal('SELECT 1', { params: { database: 'nope' } })).toEqual([404, '81']);
  });

  it('sends the headers of the protocol, with the figures of the engine', async () => {
    const response = await send('SELECT count() FROM numbers(1000) FORMAT JSON', { params: { query_id: 'figures' } });
    await response.text();
    expect(response.headers.get('x-clickhouse-query-id')).toBe('figures');
    expect(response.headers.get('x-clickhouse-format')).toBe('JSON');
    expect(response.headers.get('x-clickhouse-server-display-name')).toBeTruthy();
    expect(response.headers.get('x-clickhouse-exception-tag')).toMatch(/^[a-z]{16}$/);
    expect(summaryOf(response)).toMatchObject({ read_rows: '1000', result_rows: '1', written_rows: '0' });
  });

  it('inserts from the body, from the statement, and from both; an insert of nothing is one', async () => {
    await run('CREATE TABLE parts (a Int32, s String) ENGINE = MergeTree ORDER BY a');
    await run("INSERT INTO parts VALUES (1, 'x\n\ny; SELECT 1'), (2, 'b');");
    await run('INSERT INTO parts FORMAT TSV\n3\tc\n');
    await run('4,"d"\n', { params: { query: 'INSERT INTO parts (a, s) FORMAT CSV' } });
    const response = await send('', { params: { query: 'INSERT INTO parts FORMAT JSONEachRow' } });
    expect([response.status, summaryOf(response)['written_rows']]).toEqual([200, '0']);
    expect(await run('SELECT a, s FROM parts ORDER BY a')).toBe('1\tx\\n\\ny; SELECT 1\n2\tb\n3\tc\n4\td\n');
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('takes and gives %s', async (encoding, compress) => {
    const sql = Buffer.from('SELECT sum(number) FROM numbers(100)');
    const headers = { 'content-encoding': encoding, 'accept-encoding': encoding };
    const response = await send(new Uint8Array(compress(sql)), { headers, params: { enable_http_compression: '1' } });
    expect(response.headers.get('content-encoding')).toBe(encoding);
    expect(await response.text()).toBe('4950\n');
  });

  it('refuses unknown encodings, broken bodies, and more than the bound', async () => {
    expect(await refusal('x', { headers: { 'content-encoding': 'snappy' } })).toEqual([500, '89']);
    expect(await refusal('no frame', { headers: { 'content-encoding': 'lz4' } })).toEqual([400, '36']);
    expect(await refusal('not gzip', { headers: { 'content-encoding': 'gzip' } })).toEqual([400, '36']);
    expect(await refusal('x', { headers: { 'content-type': 'multipart/form-data; boundary=x' } })).toEqual([400, '36']);
    // Broken before anybody reads it: while the file for the rows is made.
    const insert = { query: 'INSERT INTO parts FORMAT TSV' };
    for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'lz4']) {
      const headers = { 'content-encoding': encoding };
      expect(await refusal('this is not compressed', { params: insert, headers })).toEqual([400, '36']);
    }
    const large = new Uint8Array(MAX_BODY_BYTES + 1).fill(49);
    const params = { query: 'INSERT INTO parts FORMAT TSV' };
    const response = await send(large, { params });
    expect(response.status).toBe(413);
    expect(await response.text()).toContain(`more than ${MAX_BODY_BYTES} bytes`);
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(4 * MAX_BODY_BYTES)));
    expect(await refusal(bomb, { params, headers: { 'content-encoding': 'gzip' } })).toEqual([413, '229']);
  });

  it('changes nothing on GET, and nothing for a page of another site', async () => {
    const response = await send(undefined, { params: { query: "INSERT INTO parts VALUES (9, '')" } });
    expect(response.headers.get('x-clickhouse-exception-code')).toBe('164');
    expect((await send('SELECT 1', { headers: { origin: 'https://example.com' } })).status).toBe(403);
    expect((await send('SELECT 1', { headers: { origin: 'http://localhost:3000' } })).status).toBe(200);
  });

  it('answers every request target, and no other host name than its own', async () => {
    const { port } = new URL(endpoint.url);
    const raw = (head: string) =>
      new Promise<string>((resolve, reject) => {
        let text = '';
        const socket = connect({ port: Number(port), host: '127.0.0.1' });
        socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        socket.on('error', reject).on('close', () => resolve(text.split('\r\n', 1)[0] ?? ''));
        socket.write(`${head}\r\nConnection: close\r\n\r\n`, 'latin1');
      });
    const targets = [
      '//',
      '///x',
      '*',
      'http://example.com/',
      '/%',
      '/?query=%E0%A4%A',
      '/\u00e9?query=SELECT+1',
      '/?',
    ];
    for (const target of targets) {
      for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD', 'PUT']) {
        const status = await raw(`${method} ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0`);
        expect(status).toMatch(/^HTTP\/1.1 [2345]\d\d /);
      }
    }
    for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]', 'LOCALHOST:1']) {
      expect(await raw(`GET /?query=SELECT+1 HTTP/1.1\r\nHost: ${host}`)).toBe('HTTP/1.1 200 OK');
    }
    for (const host of ['rebound.example.com', '127.0.0.1.example.com', '10.0.0.1', '', 'a b', '@localhost']) {
      expect(await raw(`GET /?query=SELECT+1 HTTP/1.1\r\nHost: ${host}`)).toMatch(/^HTTP\/1.1 4\d\d /);
    }
    expect(await run('SELECT 1')).toBe('1\n');
  });

  it('takes any text as an id, and gives it back', async () => {
    const response = await send('SELECT 1', { params: { query_id: 'запрос-1-ü' } });
    expect(await response.text()).toBe('1\n');
    const id = response.headers.get('x-clickhouse-query-id') ?? '';
    expect(Buffer.from(id, 'latin1').toString()).toBe('запрос-1-ü');
    expect(await refusal('SELECT 1', { params: { query_id: 'a\r\nb' } })).toEqual([400, '36']);
    expect(await refusal('SELECT 1', { params: { default_format: 'Фо' } })).toEqual([404, '73']);
  });

  it('has the system tables that Grafana’s data source asks for', async () => {
    expect(await run('SELECT version()')).toMatch(/^\d+\.\d+\.\d+/);
    for (const table of ['databases', 'tables', 'columns', 'functions', 'settings', 'parts']) {
      expect(Number(await run(`SELECT count() >= 0 FROM system.${table}`))).toBe(1);
    }
    await run('SELECT name, type, default_kind FROM system.columns WHERE table = {t:String} FORMAT Native', {
      params: { param_t: 'parts' },
    });
  });
});

describe('settings', () => {
  it('never outlast their request: a token must not swallow the next insert', async () => {
    await run(`CREATE TABLE tokens (a Int32) ENGINE = MergeTree ORDER BY a
      SETTINGS non_replicated_deduplication_window = 100`);
    const insert = (rows: string, params: Record<string, string> = {}) =>
      run(rows, { params: { query: 'INSERT INTO tokens FORMAT TSV', ...params } });
    const token = { insert_deduplication_token: 'block-1', async_insert: '0' };
    await insert('1\n2\n', token);
    await insert('3\n');
    await insert('3\n4\n');
    expect(await run('SELECT count() FROM tokens')).toBe('5\n');
    await insert('7\n8\n', token);
    expect(await run('SELECT count() FROM tokens')).toBe('5\n');
    await run(`INSERT INTO tokens SETTINGS insert_deduplication_token = 'block-2' FORMAT TSV\n10\n`);
    await insert('11\n');
    expect(await run('SELECT count() FROM tokens')).toBe('7\n');
  });

  it('of a select do not reach the next request', async () => {
    const sql = "SELECT getSetting('max_block_size')";
    const before = await run(sql);
    expect(await run(sql, { params: { max_block_size: '123' } })).toBe('123\n');
    expect(await run(`${sql} SETTINGS max_block_size = 124`)).toBe('124\n');
    expect(await run(sql)).toBe(before);
    expect(await run('SET max_block_size = 125')).toBe('');
    expect(await run(sql)).toBe(before);
    expect(await refusal('SELECT {p:String}')).toEqual([500, '456']);
  });

  it('of the sink make one block, and a retry completes dependent views', async () => {
    const deduplicated = 'SETTINGS non_replicated_deduplication_window = 100';
    await run('CREATE TABLE ingest (a UInt64) ENGINE = Null');
    await run(`CREATE TABLE facts (a UInt64) ENGINE = MergeTree ORDER BY a ${deduplicated}`);
    await run(`CREATE TABLE sums (k UInt64, n Int64) ENGINE = SummingMergeTree ORDER BY k ${deduplicated}`);
    await run('CREATE MATERIALIZED VIEW to_facts TO facts AS SELECT a FROM ingest');
    await run(
      `CREATE MATERIALIZED VIEW to_sums TO sums AS SELECT a % 10 AS k, toInt64(count()) AS n FROM ingest GROUP BY k`,
    );
    const rows = Array.from({ length: 10_000 }, (_, index) => `[${index}]`).join('\n');
    const params = {
      query: 'INSERT INTO ingest FORMAT JSONCompactEachRow',
      insert_deduplication_token: 'topic-0-0-10000',
      deduplicate_blocks_in_dependent_materialized_views: '1',
      async_insert: '0',
      input_format_parallel_parsing: '0',
      max_insert_block_size: '20000',
      min_insert_block_size_rows: '20000',
    };
    for (let attempt = 0; attempt < 3; attempt += 1) await run(rows, { params });
    expect(await run('SELECT count(), uniqExact(a) FROM facts')).toBe('10000\t10000\n');
    expect(await run('SELECT sum(n) FROM sums')).toBe('10000\n');
    const parts = await run("SELECT count() FROM system.parts WHERE table = 'facts' AND level = 0");
    expect(parts).toBe('1\n');
  });
});

describe('under load', () => {
  const HEAVY = 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000)';

  it('inserts go on beside heavy queries; what is too much is refused; all is stopped by leaving', async () => {
    await run('CREATE TABLE busy (a Int32) ENGINE = MergeTree ORDER BY a');
    const leave = new AbortController();
    const heavy = Array.from({ length: 5 }, () => send(HEAVY, { signal: leave.signal }).catch(() => 'left'));
    const gauge = async (name: string) => {
      const metrics = await (await fetch(`${endpoint.adminUrl}/metrics`)).text();
      return new RegExp(`^parley_clickhouse_${name}\\{.*lane="read".*\\} (\\d+)`, 'm').exec(metrics)?.[1];
    };
    await eventually(async () => {
      expect([await gauge('running_queries'), await gauge('waiting_queries')]).toEqual(['3', '2']);
    });
    expect(await refusal('SELECT 1')).toEqual([503, '202']);
    for (let index = 0; index < 10; index += 1) await run(`INSERT INTO busy VALUES (${index})`);
    expect((await fetch(`${endpoint.url}/ping`)).status).toBe(200);
    expect((await fetch(`${endpoint.adminUrl}/readyz`)).status).toBe(200);
    leave.abort();
    expect(await Promise.all(heavy)).toEqual(Array(5).fill('left'));
    await eventually(async () => expect(await run('SELECT count() FROM busy')).toBe('10\n'));
    await eventually(async () => expect(await gauge('running_queries')).toBe('0'));
  });

  it('the queries of analysts have a lane of their own: what is too much is refused, the sink’s go on', async () => {
    const analyst = { user: 'analyst', password: 'analyst' };
    const leave = new AbortController();
    const heavy = Array.from({ length: 4 }, () =>
      send(HEAVY, { signal: leave.signal, params: analyst }).catch(() => 'left'),
    );
    const gauge = async (name: string) => {
      const metrics = await (await fetch(`${endpoint.adminUrl}/metrics`)).text();
      return new RegExp(`^parley_clickhouse_${name}\\{.*lane="analyst".*\\} (\\d+)`, 'm').exec(metrics)?.[1];
    };
    await eventually(async () => {
      expect([await gauge('running_queries'), await gauge('waiting_queries')]).toEqual(['2', '2']);
    });
    expect(await refusal('SELECT 1', { params: analyst })).toEqual([503, '202']);
    expect(await run('SELECT count() FROM busy')).toMatch(/^\d+\n$/);
    await run('INSERT INTO busy FORMAT TSV\n2\n');
    leave.abort();
    await Promise.all(heavy);
    await eventually(async () => expect(await gauge('running_queries')).toBe('0'));
  });

  it('a client that reads nothing costs no memory, and its place only for a while', async () => {
    const { port } = new URL(endpoint.url);
    const rss = () =>
      Number(/VmRSS:\s+(\d+)/.exec(spawnSync('cat', [`/proc/${endpoint.pid}/status`]).stdout.toString())?.[1]);
    const before = rss();
    const socket = connect({ port: Number(port), host: '127.0.0.1' });
    socket.pause();
    const sql = encodeURIComponent('SELECT number, repeat(toString(number), 20) FROM system.numbers');
    socket.write(`GET /?query=${sql}&query_id=unread HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const rowsRead = async () =>
      Number(await run("SELECT read_rows FROM system.processes WHERE Settings['log_comment'] = 'unread'"));
    // Until the engine stands still, twice the same.
    let last = -1;
    await eventually(async () => {
      const now = await rowsRead();
      const still = now > 0 && now === last;
      last = now;
      expect(still).toBe(true);
    });
    expect(rss() - before).toBeLessThan(200 * 1024);
    await eventually(async () => expect(await run('SELECT count() FROM system.processes')).toBe('1\n'));
    await eventually(() => expect(endpoint.log.some((line) => line.includes('SOCKET_TIMEOUT'))).toBe(true));
    socket.destroy();
  });

  it('clients that leave at any moment leave nothing behind', async () => {
    for (let round = 0; round < 60; round += 1) {
      const leave = new AbortController();
      const sql = round % 2 === 0 ? HEAVY : 'SELECT number FROM system.numbers';
      const left = send(sql, { signal: leave.signal, params: { query_id: `leaving-${round}` } }).catch(() => 'left');
      // From before the engine has the query to the middle of its result.
      for (let turn = 0; turn < round; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      leave.abort();
      await left;
    }
    await eventually(async () => expect(await run('SELECT count() FROM system.processes')).toBe('1\n'));
  });

  it('an exception in the middle of a result ends in a cut connection, after its text', async () => {
    const response = await send("SELECT throwIf(number = 2000000, 'boom') FROM numbers(3000000)");
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow(/terminated/);
  });
});

describe('the process', () => {
  it('says what holds the data folder, and what holds the port', async () => {
    const second = await startEndpointProcess(dir).catch((error: unknown) => error);
    expect(second).toBeInstanceOf(EndedAtStart);
    expect(second).toMatchObject({ code: 1 });
    expect((second as EndedAtStart).log.at(-1)).toMatch(/CLICKHOUSE_DATA_IN_USE.*in use by another process/);

    const holder = createServer().listen(0, '127.0.0.1');
    await eventually(() => expect(holder.listening).toBe(true));
    const port = String((holder.address() as AddressInfo).port);
    const other = temporaryFolder();
    const third = await startEndpointProcess(other, { CLICKHOUSE_HTTP_PORT: port }).catch((error: unknown) => error);
    expect(third).toMatchObject({ code: 1 });
    expect((third as EndedAtStart).log.at(-1)).toContain(`PORT_IN_USE`);
    holder.close();
    removeFolder(other);
  });

  it('logs and counts queries without their data', async () => {
    const needle = 'nobody-may-log-this';
    await run(`SELECT '${needle}'`);
    await refusal(`SELECT '${needle}' FROM nope`);
    await eventually(() => expect(endpoint.log.some((line) => line.includes('UNKNOWN_TABLE'))).toBe(true));
    expect(endpoint.log.filter((line) => line.includes(needle))).toEqual([]);
    const metrics = await (await fetch(`${endpoint.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/parley_clickhouse_queries_total\{.*kind="result",outcome="ok".*\} \d+/);
    expect(metrics).toMatch(/parley_clickhouse_written_rows_total\{.*\} \d{5}/);
  });
});

describe('stopping', () => {
  it('stops heavy queries after a grace, and ends well', async () => {
    const folder = temporaryFolder();
    const process = await startEndpointProcess(folder);
    const sql = 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000)';
    const heavy = fetch(process.url, { method: 'POST', body: sql }).then(
      () => 'answered',
      () => 'cut',
    );
    await eventually(async () => {
      const response = await fetch(process.url, { method: 'POST', body: 'SELECT count() FROM system.processes' });
      expect(await response.text()).toBe('2\n');
    });
    expect(await process.end('SIGTERM')).toBe(0);
    expect(await heavy).toBe('cut');
    removeFolder(folder);
  });
});
