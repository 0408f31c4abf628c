import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createHttpClient,
  type EndpointProcess,
  removeFolder,
  startEndpointProcess,
  temporaryFolder,
} from './testing/endpoint-process.ts';

/** What an analyst may do, against the real engine. */
const dir = temporaryFolder();
let endpoint: EndpointProcess;
const { run, refusal } = createHttpClient(() => endpoint.url);

beforeAll(async () => {
  endpoint = await startEndpointProcess(dir, {
    CLICKHOUSE_ANALYST_MAX_RESULT_ROWS: '1000',
    CLICKHOUSE_ANALYST_PASSWORD: 'secret-of-analysts',
  });
  await run('CREATE TABLE parts (a Int32, s String) ENGINE = MergeTree ORDER BY a');
  await run("INSERT INTO parts VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')");
});

afterAll(async () => {
  await endpoint.end('SIGTERM');
  removeFolder(dir);
});

const analyst = { user: 'analyst', password: 'secret-of-analysts' };

describe('the analyst', () => {
  it('reads, within its own settings', async () => {
    expect(await run('SELECT count() FROM parts', { params: analyst })).toBe('4\n');
    const settings = { ...analyst, max_execution_time: '5', max_memory_usage: '100000000', max_threads: '1' };
    expect(await run("SELECT getSetting('max_execution_time')", { params: settings })).toBe('5\n');
    const headers = { authorization: `Basic ${Buffer.from('analyst:secret-of-analysts').toString('base64')}` };
    expect(await run('SELECT {p:String}', { headers, params: { param_p: 'parts' } })).toBe('parts\n');
    expect(await run("SHOW TABLES LIKE 'parts'", { headers })).toBe('parts\n');
  });

  it.each([
    [{ user: 'analyst', password: 'wrong' }],
    [{ user: 'analyst' }],
    [{ user: 'nobody' }],
    [{ user: 'default', password: 'x' }],
  ])('is nobody else: %j', async (params) => {
    expect(await refusal('SELECT 1', { params })).toEqual([403, '516']);
  });

  it.each([
    "INSERT INTO parts VALUES (1, '')",
    'CREATE TABLE mine (a Int8) ENGINE = Memory',
    'CREATE TEMPORARY TABLE mine (a Int8)',
    'DROP TABLE parts',
    'ALTER TABLE parts DELETE WHERE 1',
    'TRUNCATE TABLE parts',
    'OPTIMIZE TABLE parts',
    'SYSTEM FLUSH LOGS',
    'KILL QUERY WHERE 1',
    'SET ROLE admin',
    "SET profile = 'default'",
    "SELECT 1 SETTINGS profile = 'default'",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT file('/etc/hostname')",
    "SELECT * APPLY(`file`) FROM (SELECT '/etc/hostname')",
    "SELECT `fi\\x6ce`('/etc/hostname')",
    "SELECT ‘'’, file('/etc/hostname'), ‘'’",
    "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:9/bucket/x.csv', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:9', 'system.one')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "INSERT INTO FUNCTION file('/tmp/x.csv', 'CSV', 'a Int32') VALUES (1)",
  ])('must not: %s', async (sql) => {
    expect(await refusal(sql, { params: analyst })).toEqual([403, '497']);
  });

  it('must not write to a file', async () => {
    expect(await refusal("SELECT 1 INTO OUTFILE '/tmp/x'", { params: analyst })).toEqual([404, '78']);
    expect(await refusal("SELECT 1 INTO OUTFILE '/tmp/x'")).toEqual([404, '78']);
  });

  it.each([
    [{ max_execution_time: '61' }, '452'],
    [{ max_execution_time: '0' }, '452'],
    [{ max_memory_usage: '0' }, '452'],
    [{ max_result_rows: '1001' }, '452'],
    [{ format_schema: '/etc/hostname' }, '452'],
    [{ readonly: '0' }, '164'],
    [{ profile: 'default' }, '497'],
    [{ role: 'admin' }, '512'],
  ])('cannot lift its limits with %j', async (params: Record<string, string>, code) => {
    expect((await refusal('SELECT 1', { params: { ...analyst, ...params } }))[1]).toBe(code);
    const settings = Object.entries(params).filter(([name]) => !['profile', 'role', 'readonly'].includes(name));
    for (const [name, value] of settings) {
      expect((await refusal(`SELECT 1 SETTINGS ${name} = '${value}'`, { params: analyst }))[1]).toBe(code);
      const session = { ...analyst, session_id: 'lifting' };
      expect((await refusal(`SET ${name} = '${value}'`, { params: session }))[1]).toBe(code);
      if (name !== 'format_schema') {
        expect((await refusal(`SELECT 1 SETTINGS ${name} = DEFAULT`, { params: analyst }))[1]).toBe('452');
      }
    }
  });

  it('is held to them by the engine', async () => {
    const params = { ...analyst, wait_end_of_query: '1' };
    expect((await refusal('SELECT number FROM numbers(100000)', { params }))[1]).toBe('396');
    expect((await refusal('SELECT groupArray(number) FROM numbers(1000000000)', { params }))[1]).toBe('241');
    const slow = { ...params, max_execution_time: '1' };
    const sql = 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000)';
    expect(await refusal(sql, { params: slow })).toEqual([408, '159']);
  });

  it('does not see what others run', async () => {
    expect(await run('SELECT count() FROM system.processes', { params: analyst })).toBe('0\n');
    expect(await run('SELECT count() FROM system.processes')).toBe('1\n');
  });
});
