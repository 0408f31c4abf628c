import { Readable } from 'node:stream';
import {
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
  type ClickHouseError,
  ClickHouseLogLevel,
  createClient as createLoggingClient,
  type DataFormat,
} from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import {
  type EndpointProcess,
  removeFolder,
  startEndpointProcess,
  temporaryFolder,
} from './testing/endpoint-process.ts';

/** The documented calls of `@clickhouse/client`, unchanged, against the real endpoint. */
const dir = temporaryFolder();
let endpoint: EndpointProcess;
let client: ClickHouseClient;

/** Errors are expected here, so the client's own log of them is off. */
const createClient = (options: ClickHouseClientConfigOptions): ClickHouseClient =>
  createLoggingClient({ ...options, log: { level: ClickHouseLogLevel.OFF } });

beforeAll(async () => {
  endpoint = await startEndpointProcess(dir);
  client = createClient({ url: endpoint.url });
});

afterAll(async () => {
  await client.close();
  await endpoint.end('SIGTERM');
  removeFolder(dir);
});

async function createTable(name: string, columns = 'id UInt64, name String'): Promise<void> {
  await client.command({ query: `CREATE OR REPLACE TABLE ${name} (${columns}) ENGINE = MergeTree ORDER BY id` });
}

async function rowsOf(table: string): Promise<unknown[]> {
  const result = await client.query({ query: `SELECT * FROM ${table} ORDER BY id`, format: 'JSONEachRow' });
  return result.json();
}

const errorOf = (promise: Promise<unknown>): Promise<ClickHouseError> =>
  promise.then(
    () => Promise.reject(new Error('expected an error')),
    (error: ClickHouseError) => error,
  );

describe('ping', () => {
  it.each([{ select: false }, { select: true }] as const)('answers with %j', async (params) => {
    expect(await client.ping(params)).toEqual({ success: true });
  });

  it('with a query tells a wrong password', async () => {
    const stranger = createClient({ url: endpoint.url, username: 'nobody', password: 'x' });
    const result = await stranger.ping({ select: true });
    expect(result).toMatchObject({ success: false, error: { code: '516', type: 'AUTHENTICATION_FAILED' } });
    await stranger.close();
  });
});

describe('insert', () => {
  const objects = [
    { id: 1, name: 'one' },
    { id: 2, name: 'zwei ü 🙂\n\n; SELECT 1' },
  ];
  const meta = [
    { name: 'id', type: 'UInt64' },
    { name: 'name', type: 'String' },
  ];
  const arrays = objects.map(({ id, name }) => [id, name]);

  it.each([
    ['JSONEachRow', objects],
    ['JSONCompactEachRow', arrays],
    ['JSON', { meta, data: objects }],
    ['JSONCompact', { meta, data: arrays }],
    ['JSONCompactEachRowWithNames', [['id', 'name'], ...arrays]],
  ] as const)('takes values as %s', async (format, values) => {
    await createTable('inserted');
    const result = await client.insert({ table: 'inserted', values: values as never, format: format as DataFormat });
    expect(result.executed).toBe(true);
    expect(result.summary?.written_rows).toBe('2');
    expect(await rowsOf('inserted')).toEqual(objects);
  });

  it('takes a stream of text, and blank lines in it', async () => {
    await createTable('inserted');
    const csv = Readable.from(['1,"one"\n', '2,"zwei ü 🙂\n', '\n; SELECT 1"\n'], { objectMode: false });
    await client.insert({ table: 'inserted', values: csv, format: 'CSV' });
    expect(await rowsOf('inserted')).toEqual(objects);
  });

  it('takes a stream of objects, compressed, of tens of megabytes', async () => {
    await createTable('streamed');
    const gzip = createClient({ url: endpoint.url, compression: { request: true, response: true } });
    const count = 150_000;
    const rows = function* () {
      for (let id = 0; id < count; id += 1) yield { id, name: `row ${id} ${'x'.repeat(180)}` };
    };
    const result = await gzip.insert({ table: 'streamed', values: Readable.from(rows()), format: 'JSONEachRow' });
    expect(result.summary?.written_rows).toBe(String(count));
    const sum = await gzip.query({ query: 'SELECT count() AS n, sum(id) AS s FROM streamed', format: 'JSONEachRow' });
    expect(await sum.json()).toEqual([{ n: count, s: (count * (count - 1)) / 2 }]);
    await gzip.close();
  });

  it('takes chosen columns, another database, and an insert from a select', async () => {
    await client.command({ query: 'CREATE DATABASE IF NOT EXISTS other' });
    const other = createClient({ url: endpoint.url, database: 'other' });
    await other.command({
      query: "CREATE OR REPLACE TABLE t (id UInt64, name String DEFAULT 'none') ENGINE = MergeTree ORDER BY id",
    });
    await other.insert({ table: 't', values: [{ id: 7 }], format: 'JSONEachRow', columns: ['id'] });
    const { summary } = await other.command({ query: 'INSERT INTO t SELECT number, toString(number) FROM numbers(2)' });
    expect(summary?.written_rows).toBe('2');
    expect(await rowsOf('other.t')).toEqual([
      { id: 0, name: '0' },
      { id: 1, name: '1' },
      { id: 7, name: 'none' },
    ]);
    await other.close();
    expect(await errorOf(client.query({ query: 'SELECT * FROM t_of_nobody' }))).toMatchObject({ code: '60' });
  });

  it.each(['RowBinary', 'Native', 'Parquet', 'Arrow', 'ArrowStream', 'Avro'])(
    'takes back %s byte for byte',
    async (format) => {
      await createTable('binary', 'id UInt64, name String, v Float64');
      // The first bytes are line feeds and spaces: whatever trims or splits text would show.
      await client.command({
        query:
          "INSERT INTO binary SELECT 10 + 2570 * number, '\\n\\n; \\0' || toString(number), number / 3 FROM numbers(100)",
      });
      const exported = await client.exec({ query: `SELECT * FROM binary ORDER BY id FORMAT ${format}` });
      const chunks: Buffer[] = [];
      for await (const chunk of exported.stream) chunks.push(chunk as Buffer);
      await createTable('copied', 'id UInt64, name String, v Float64');
      const { stream } = await client.exec({
        query: `INSERT INTO copied FORMAT ${format}`,
        values: Readable.from([Buffer.concat(chunks)], { objectMode: false }),
      });
      stream.resume();
      expect(await rowsOf('copied')).toEqual(await rowsOf('binary'));
    },
  );
});

describe('query', () => {
  it.each(['JSON', 'JSONCompact', 'JSONStrings', 'JSONColumnsWithMetadata'] as const)('gives %s', async (format) => {
    const result = await client.query({ query: 'SELECT number AS n FROM numbers(3)', format });
    expect(await result.json()).toMatchObject({ rows: 3, meta: [{ name: 'n', type: 'UInt64' }] });
  });

  it.each([
    ['JSONEachRow', [{ n: 0 }, { n: 1 }]],
    ['JSONStringsEachRow', [{ n: '0' }, { n: '1' }]],
    ['JSONCompactEachRow', [[0], [1]]],
    ['JSONCompactEachRowWithNamesAndTypes', [['n'], ['UInt64'], [0], [1]]],
    ['JSONObjectEachRow', { row_1: { n: 0 }, row_2: { n: 1 } }],
  ] as const)('gives %s', async (format, expected) => {
    const result = await client.query({ query: 'SELECT number AS n FROM numbers(2)', format });
    expect(await result.json()).toEqual(expected);
  });

  it.each([
    ['CSV', '0,"a"\n1,"a"\n'],
    ['CSVWithNames', '"n","s"\n0,"a"\n1,"a"\n'],
    ['TabSeparatedWithNamesAndTypes', 'n\ts\nUInt64\tString\n0\ta\n1\ta\n'],
  ] as const)('gives %s as text', async (format, expected) => {
    const result = await client.query({ query: "SELECT number AS n, 'a' AS s FROM numbers(2)", format });
    expect(await result.text()).toBe(expected);
    expect(result.response_headers).toMatchObject({
      'x-clickhouse-format': format,
      'x-clickhouse-timezone': expect.any(String),
    });
  });

  it('binds parameters of every kind without making SQL of them', async () => {
    const evil = "it's \\ a \t tab\nline'; DROP TABLE x --";
    const result = await client.query({
      query: `SELECT {s:String} AS s, {n:Nullable(Int64)} AS n, {a:Array(String)} AS a, {d:DateTime64(3, 'UTC')} AS d,
        {m:Map(String, Int32)}['k'] AS m, {b:Bool} AS b, {t:Identifier} FROM (SELECT 5 AS col)`,
      query_params: { s: evil, n: null, a: [evil, ''], d: new Date(1_790_000_000_123), m: { k: 4 }, b: true, t: 'col' },
      format: 'JSONEachRow',
    });
    expect(await result.json()).toEqual([
      { s: evil, n: null, a: [evil, ''], d: '2026-09-21 14:13:20.123', m: 4, b: true, col: 5 },
    ]);
    const missing = await errorOf(client.query({ query: 'SELECT {x:String}' }));
    expect(missing).toMatchObject({ code: '456' });
  });

  it('keeps the parameters of queries that run at once apart', async () => {
    const values = Array.from({ length: 40 }, (_, index) => `value ${index}`);
    const results = await Promise.all(
      values.map(async (value) => {
        const query = 'SELECT {v:String} AS v, sleep(0.02) AS w';
        const result = await client.query({ query, query_params: { v: value }, format: 'JSONEachRow' });
        return (await result.json<{ v: string }>())[0]?.v;
      }),
    );
    expect(results).toEqual(values);
  });

  it('streams rows, compressed too', async () => {
    for (const response of [false, true]) {
      const streaming = createClient({ url: endpoint.url, compression: { response } });
      const result = await streaming.query({
        query: 'SELECT number FROM numbers(500000)',
        format: 'JSONCompactEachRow',
      });
      let count = 0;
      for await (const rows of result.stream()) count += rows.length;
      expect(count).toBe(500_000);
      await streaming.close();
    }
  });

  it('sends query_id and settings along', async () => {
    const result = await client.query({
      query: "SELECT getSetting('max_block_size') AS v",
      query_id: 'my-own-id',
      clickhouse_settings: { max_block_size: '777' },
      format: 'JSONEachRow',
    });
    expect(result.query_id).toBe('my-own-id');
    expect(await result.json()).toEqual([{ v: 777 }]);
  });
});

describe('errors', () => {
  it.each([
    ['SELECT 1 FROM (', '62', expect.any(String)],
    ['SELECT * FROM nope', '60', 'UNKNOWN_TABLE'],
    ['SELECT * FROM nope.nope', '81', 'UNKNOWN_DATABASE'],
    ['SELECT nope()', '46', 'UNKNOWN_FUNCTION'],
    ["SELECT toInt8('x')", '6', 'CANNOT_PARSE_TEXT'],
    ['SELECT 1; SELECT 2', '62', 'SYNTAX_ERROR'],
  ])('%s is %s', async (query, code, type) => {
    expect(await errorOf(client.query({ query }))).toMatchObject({ code, type });
  });

  it('tells an unknown setting, and one bad row', async () => {
    const settings = { clickhouse_settings: { no_such_setting: 1 } as never };
    expect(await errorOf(client.query({ query: 'SELECT 1', ...settings }))).toMatchObject({ type: 'UNKNOWN_SETTING' });
    await createTable('strict');
    const values = [{ id: 1 }, { id: 'not a number' }];
    const error = await errorOf(client.insert({ table: 'strict', values, format: 'JSONEachRow' }));
    expect(error.type).toBe('CANNOT_PARSE_INPUT_ASSERTION_FAILED');
    expect(await rowsOf('strict')).toEqual([]);
  });

  it.each([false, true])('reports what goes wrong in the middle of a stream (compressed: %s)', async (response) => {
    const streaming = createClient({ url: endpoint.url, compression: { response } });
    const result = await streaming.query({
      query: "SELECT number, throwIf(number = 2000000, 'boom') FROM numbers(3000000)",
      format: 'JSONCompactEachRow',
    });
    let count = 0;
    const error = await errorOf(
      (async () => {
        for await (const rows of result.stream()) count += rows.length;
      })(),
    );
    // The client looks for the exception in one chunk; socket or decompressor may cut it in two, which it then says.
    expect(error.message).toMatch(/boom|error in the stream/);
    expect(count).toBeGreaterThan(0);
    await streaming.close();
  });
});

describe('sessions and cancelling', () => {
  it('keep temporary tables and SET, and undo the settings of one request', async () => {
    const session = createClient({ url: endpoint.url, session_id: 'my-session' });
    const setting = async () => {
      const result = await session.query({ query: "SELECT getSetting('max_block_size') AS v", format: 'JSONEachRow' });
      return (await result.json<{ v: number }>())[0]?.v;
    };
    const initial = await setting();
    await session.command({ query: 'CREATE TEMPORARY TABLE scratch (n Int32)' });
    await session.insert({ table: 'scratch', values: [{ n: 42 }], format: 'JSONEachRow' });
    const result = await session.query({ query: 'SELECT n FROM scratch', format: 'JSONEachRow' });
    expect(await result.json()).toEqual([{ n: 42 }]);
    await session.command({ query: 'SELECT 1', clickhouse_settings: { max_block_size: '999' } });
    expect(await setting()).toBe(initial);
    await session.command({ query: 'SET max_block_size = 1234' });
    await session.command({ query: 'SELECT 1', clickhouse_settings: { max_block_size: '999' } });
    expect(await setting()).toBe(1234);
    await session.close();
    expect(await errorOf(client.query({ query: 'SELECT n FROM scratch' }))).toMatchObject({ code: '60' });
    const missing = await fetch(`${endpoint.url}/?session_id=unheard-of&session_check=1&query=SELECT+1`);
    expect(missing.headers.get('x-clickhouse-exception-code')).toBe('372');
    expect(await missing.text()).toMatch(/SESSION_NOT_FOUND/);
  });

  const running = async (tag: string): Promise<number> => {
    const query = "SELECT count() AS n FROM system.processes WHERE Settings['log_comment'] = {tag:String}";
    const result = await client.query({ query, query_params: { tag }, format: 'JSONEachRow' });
    return (await result.json<{ n: number }>())[0]?.n ?? 0;
  };

  it('abort_signal stops the query in the engine', async () => {
    const abort = new AbortController();
    const query = client.query({
      query: 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000)',
      query_id: 'to-be-aborted',
      abort_signal: abort.signal,
    });
    const failed = errorOf(query);
    await eventually(async () => expect(await running('to-be-aborted')).toBe(1));
    abort.abort();
    expect((await failed).message).toMatch(/abort/);
    await eventually(async () => expect(await running('to-be-aborted')).toBe(0));
  });

  it('KILL QUERY knows queries by the id that the client gave', async () => {
    const query = 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000)';
    const failed = errorOf(client.query({ query, query_id: 'to-be-killed' }));
    await eventually(async () => expect(await running('to-be-killed')).toBe(1));
    expect(await errorOf(client.query({ query: 'SELECT 1', query_id: 'to-be-killed' }))).toMatchObject({ code: '216' });
    await client.command({ query: "KILL QUERY WHERE query_id = 'to-be-killed' SYNC" });
    expect(await failed).toMatchObject({ code: '394', type: 'QUERY_WAS_CANCELLED' });
  });

  it('a result that is closed half-read stops its query', async () => {
    const result = await client.query({
      query: 'SELECT number FROM system.numbers',
      format: 'JSONEachRow',
      query_id: 'endless',
    });
    for await (const _rows of result.stream()) break;
    result.close();
    await eventually(async () => expect(await running('endless')).toBe(0));
  });
});
