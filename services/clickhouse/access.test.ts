import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLOSED_SYSTEM_TABLES, OPEN_SYSTEM_TABLES } from './system-tables.ts';
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
    "SELECT /* /* */ ' */ file('/etc/hostname') /* ' */",
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "SELECT * APPLY (x -> file(x)) FROM (SELECT '/etc/hostname')",
    "SELECT * FROM (EXPLAIN SYNTAX SELECT file('/etc/hostname'))",
    "EXPLAIN SELECT 1 WHERE 'x' IN file('/etc/hostname', 'LineAsString')",
    "DESCRIBE TABLE file('/etc/hostname')",
    "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:9', 'd', 't', 'u', 'p') COLUMNS (x Int8)",
    'SELECT 1 PARALLEL WITH DROP TABLE parts',
    "SELECT * FROM merge('system', 'processes')",
    'SELECT * FROM loop(parts)',
    "SELECT * FROM format(JSONEachRow, $$a String DEFAULT file('/etc/hostname')$$, '{}')",
    "SELECT dictGet('d', 'a', 1)",
    'SELECT sleep(3)',
    "SELECT getClientHTTPHeader('x')",
    "SELECT catboostEvaluate('/etc/hostname', 1)",
    "CREATE TEMPORARY TABLE mine (a String) ENGINE = File(LineAsString, '/etc/hostname')",
    'CREATE FUNCTION f AS x -> x',
    "BACKUP TABLE parts TO File('/tmp/parley-backup')",
    "INSERT INTO FUNCTION file('/tmp/parley-x.csv', 'CSV', 'a Int32') SELECT 1",
    'SHOW CREATE USER default',
    'SHOW GRANTS',
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
    expect(await refusal("SELECT 1 /* /* */ ' */ INTO OUTFILE '/tmp/x' /* ' */")).toEqual([404, '78']);
    expect(await refusal("EXPLAIN SYNTAX SELECT 1 INTO OUTFILE '/tmp/x'", { params: analyst })).toEqual([404, '78']);
  });

  it.each([
    [{ output_format_schema: '/tmp/x' }, '452'],
    [{ format_template_row: '/etc/hostname' }, '452'],
    [{ additional_table_filters: "{'parts':'length(file('/etc/hostname')) > 0'}" }, '452'],
    [{ dialect: 'kusto' }, '452'],
    [{ max_threads: '65' }, '452'],
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
      const quoted = `'${value.replaceAll("'", "\\'")}'`;
      expect((await refusal(`SELECT 1 SETTINGS ${name} = ${quoted}`, { params: analyst }))[1]).toBe(code);
      const session = { ...analyst, session_id: 'lifting' };
      expect((await refusal(`SET ${name} = ${quoted}`, { params: session }))[1]).toBe(code);
    }
  });

  it('asks for no more time than its own, as a client that adds seconds to its deadline does', async () => {
    const asked = async (seconds: string) => {
      return run("SELECT getSetting('max_execution_time')", { params: { ...analyst, max_execution_time: seconds } });
    };
    expect([await asked('65'), await asked('0'), await asked('5')]).toEqual(['60\n', '60\n', '5\n']);
    expect((await refusal('SELECT 1 SETTINGS max_execution_time = 61', { params: analyst }))[1]).toBe('452');
    expect((await refusal('SELECT 1 SETTINGS max_execution_time = DEFAULT', { params: analyst }))[1]).toBe('452');
  });

  it('puts a name into a statement only where the name is plain and no function it must not call', async () => {
    const select = (name: string) => ({ params: { ...analyst, param_f: name } });
    expect(await run('SELECT count({f:Identifier}) FROM parts', select('s'))).toBe('4\n');
    expect(await run('SELECT count() FROM {f:Identifier}', select('parts'))).toBe('4\n');
    for (const name of ['file', 'fi\\x6ce', '`file`']) {
      expect((await refusal("SELECT arrayMap({f:Identifier}, ['/etc/hostname'])", select(name)))[1]).toBe('497');
    }
    const session = { ...analyst, session_id: 'names' };
    await run("SET param_f = 'file'", { params: session });
    const sql = "SELECT arrayMap({f:Identifier}, ['/etc/hostname'])";
    expect((await refusal(sql, { params: session }))[1]).toBe('497');
  });

  it.each([
    'SELECT a, s FROM parts AS p INNER JOIN (SELECT 2 AS a) AS q USING (a) WHERE a IN (1, 2) LIMIT 1 BY a',
    'WITH t AS (SELECT number AS n FROM numbers(3)) SELECT quantileIf(0.5)(n, n > 1), uniqExactOrNull(n) FROM t',
    'SELECT * EXCEPT (s) REPLACE (a + 1 AS a) FROM parts ORDER BY (a) WITH FILL FROM (1) TO (3) STEP (1)',
    "SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, a::String, INTERVAL 1 DAY, s LIKE ('a') FROM parts",
    'SELECT sum(a) OVER (PARTITION BY s ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM parts',
    "SELECT arrayMap(upper, groupArray(s)), arrayMap((x, y) -> (x + y), [1], [2]), COLUMNS('a') APPLY(sum) FROM parts",
    'SELECT s, sum(a) FROM parts GROUP BY GROUPING SETS ((s), ()) HAVING (sum(a) > 0) SETTINGS max_threads = 1, final = 1',
    '(SELECT 1) UNION ALL (SELECT 2) SETTINGS output_format_json_quote_64bit_integers = 1',
    'EXPLAIN indexes = 1 SELECT a FROM parts',
    'EXPLAIN PIPELINE SELECT 1',
    'DESCRIBE TABLE (SELECT 1)',
    'SHOW FULL TABLES FROM default',
    'SHOW CREATE TABLE parts',
    'SELECT column_name FROM information_schema.columns WHERE table_name = {t:String}',
  ])('may: %s', async (sql) => {
    await expect(run(sql, { params: { ...analyst, param_t: 'parts' } })).resolves.toMatch(/^/);
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
    expect(await run('SELECT count() FROM system.errors', { params: analyst })).toBe('0\n');
    expect(await run('SELECT count() FROM system.server_settings', { params: analyst })).toBe('0\n');
  });

  it('may read or not read each table of the engine by a list', async () => {
    const tables = await run("SELECT name FROM system.tables WHERE database = 'system' ORDER BY name");
    const listed = [...OPEN_SYSTEM_TABLES, ...CLOSED_SYSTEM_TABLES];
    expect(tables.trim().split('\n')).toEqual(listed.toSorted());
  });
});
