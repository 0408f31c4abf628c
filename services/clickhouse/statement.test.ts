import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Bulkhead } from './bulkhead.ts';
import { fromEngine, renderException, statusOf } from './exception.ts';
import { readRequest } from './request.ts';
import { chooseEncoding } from './response.ts';
import { tokenize } from './sql-lexer.ts';
import { readStatement } from './statement.ts';

const FORMATS = new Set(['json', 'tsv', 'csv', 'jsoneachrow', 'null']);
const read = (sql: string) => readStatement(sql, (name) => FORMATS.has(name.toLowerCase()));

describe('statements that give a result', () => {
  it.each([
    ['SELECT 1', 'SELECT 1', '', undefined],
    ['SELECT 1 ;  ', 'SELECT 1 ', '', undefined],
    ['SELECT 1 -- FORMAT JSON', 'SELECT 1', '', undefined],
    ['SELECT 1 FORMAT JSON', 'SELECT 1 ', 'FORMAT JSON', 'JSON'],
    ['SELECT 1 format tsv settings max_threads = 1;', 'SELECT 1 ', 'format tsv settings max_threads = 1', 'tsv'],
    ['SELECT 1 SETTINGS max_threads = 1 FORMAT JSON', 'SELECT 1 ', 'SETTINGS max_threads = 1 FORMAT JSON', 'JSON'],
    ['(SELECT 1) UNION ALL (SELECT 2) SETTINGS a = 1', '(SELECT 1) UNION ALL (SELECT 2) ', 'SETTINGS a = 1', undefined],
    ['SELECT 1 SETTINGS a = 1 UNION ALL SELECT 2', 'SELECT 1 SETTINGS a = 1 UNION ALL SELECT 2', '', undefined],
    ["SELECT 'x FORMAT JSON'", "SELECT 'x FORMAT JSON'", '', undefined],
    ["SELECT 'it''s \\' FORMAT JSON' FORMAT CSV", "SELECT 'it''s \\' FORMAT JSON' ", 'FORMAT CSV', 'CSV'],
    ['SELECT format FROM t ORDER BY format DESC', 'SELECT format FROM t ORDER BY format DESC', '', undefined],
    ['SELECT $$ FORMAT JSON $$', 'SELECT $$ FORMAT JSON $$', '', undefined],
    ['/* c */ WITH 1 AS x SELECT x FORMAT Null', '/* c */ WITH 1 AS x SELECT x ', 'FORMAT Null', 'Null'],
    ['(SELECT 1) UNION ALL (SELECT 2)', '(SELECT 1) UNION ALL (SELECT 2)', '', undefined],
  ])('finds the place for the outfile in %s', (sql, head, tail, format) => {
    expect(read(sql)).toEqual({ kind: 'result', head, tail, format });
  });
});

describe('inserts', () => {
  it.each([
    ['INSERT INTO t FORMAT CSV\n1,2', 'INSERT INTO t ', 'FORMAT CSV', '\n1,2'],
    [
      'INSERT INTO t (a, `b c`) SETTINGS x = 1 FORMAT TSV\r\n1',
      'INSERT INTO t (a, `b c`) ',
      'SETTINGS x = 1 FORMAT TSV',
      '\r\n1',
    ],
    ["INSERT INTO db.t VALUES (1, 'FORMAT CSV')", 'INSERT INTO db.t ', 'FORMAT Values', " (1, 'FORMAT CSV')"],
    ['INSERT INTO db.values VALUES (1)', 'INSERT INTO db.values ', 'FORMAT Values', ' (1)'],
    ['INSERT INTO format FORMAT CSV 1', 'INSERT INTO format ', 'FORMAT CSV', ' 1'],
    [
      'INSERT INTO {t:Identifier} SETTINGS a = 1 VALUES (1)',
      'INSERT INTO {t:Identifier} ',
      'SETTINGS a = 1 FORMAT Values',
      ' (1)',
    ],
  ])('cuts %j into statement and rows', (sql, head, tail, rows) => {
    const statement = read(sql);
    expect(statement).toMatchObject({ kind: 'insert', head, tail });
    expect(statement.kind === 'insert' && sql.slice(statement.dataAt)).toBe(rows);
  });

  it('leaves an insert from a query to the engine', () => {
    expect(read('INSERT INTO t SELECT * FROM s FORMAT CSV').kind).toBe('insert-select');
    expect(read('WITH 1 AS x INSERT INTO t SELECT x').kind).toBe('insert-select');
  });
});

describe('what is refused or set apart', () => {
  it.each([
    ['', 'empty'],
    ['-- nothing', 'empty'],
    ['SELECT 1; SELECT 2', 'multiple'],
    ["SELECT 1 INTO OUTFILE 'x'", 'outfile'],
    ["INSERT INTO t FROM INFILE 'x' FORMAT CSV", 'infile'],
  ])('%j as %s', (sql, reason) => expect(read(sql)).toEqual({ kind: 'refused', reason }));

  it.each([
    ['SET max_threads = 1', 'set'],
    ['SET ROLE admin', 'other'],
    ['USE db', 'use'],
    ["KILL QUERY WHERE query_id = 'x'", 'kill'],
    ['KILL MUTATION WHERE 1', 'other'],
    ['CREATE TABLE t (a Int8) ENGINE = Memory', 'other'],
  ])('%j as %s', (sql, kind) => expect(read(sql).kind).toBe(kind));
});

describe('the lexer', () => {
  const words = (sql: string) =>
    [...tokenize(sql)].filter(({ kind }) => kind === 'word').map(({ start, end }) => sql.slice(start, end));

  it('nests block comments, as the engine does', () => {
    expect(words("SELECT /* /* */ ' */ file('x') /* ' */")).toEqual(['SELECT', 'file']);
    expect(words('SELECT 1 /* /* */ never ends')).toEqual(['SELECT']);
  });

  it('reads heredocs whose end exists, and looks at each character of the rest once', () => {
    expect(words('SELECT $a$ x $b$ y $a$ z')).toEqual(['SELECT', 'z']);
    expect(words('SELECT $a$ x $b$ y')).toEqual(['SELECT', '$a$', 'x', '$b$', 'y']);
    // Quadratic, these 100,000 openings in 0.7 MB would take minutes.
    const openings = Array.from({ length: 100_000 }, (_, index) => `$${index.toString(36)}$`);
    expect([...tokenize(`SELECT ${openings.join(' ')}`)].length).toBeGreaterThan(openings.length);
  });

  it('comes to an end with any text: one that broke off behind a backslash in quotes filled the memory', () => {
    const piece = fc.constantFrom(...'\'"`\\$ab/*-# (){};\n\0é', '/*', '*/', '--', '# ', '$a$');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const sql = pieces.join('');
        let at = 0;
        for (const { start, end } of tokenize(sql)) {
          if (start < at || end <= start || end > sql.length) return false;
          at = end;
        }
        return true;
      }),
      { numRuns: 20_000, examples: [[['"', 'a', '\\']]] },
    );
  });
});

describe('exceptions', () => {
  it('reads the engine’s text, unwrapped, and gives the server’s status', () => {
    const wrapped =
      'Code: 452. DB::Exception: Code: 452. DB::Exception: Setting x is bad. (SETTING_CONSTRAINT_VIOLATION) (version 26.7.2.1). (SETTING_CONSTRAINT_VIOLATION)';
    const exception = fromEngine(new Error(wrapped));
    expect(exception).toMatchObject({ code: 452, type: 'SETTING_CONSTRAINT_VIOLATION', message: 'Setting x is bad.' });
    expect(renderException(exception, '26.7')).toBe(
      'Code: 452. DB::Exception: Setting x is bad. (SETTING_CONSTRAINT_VIOLATION) (version 26.7)\n',
    );
    expect(statusOf(exception)).toBe(500);
    expect(statusOf(fromEngine(new Error('Code: 60. DB::Exception: no t. (UNKNOWN_TABLE)')))).toBe(404);
    expect(fromEngine(new Error('something else'))).toMatchObject({ code: 1001, type: 'STD_EXCEPTION' });
  });
});

describe('requests', () => {
  it('takes credentials from headers before the URL, and leaves only settings as settings', () => {
    const url = new URLSearchParams(
      'user=u&password=p&max_threads=1&param_x=a&query_id=q&database=d&default_format=CSV',
    );
    expect(readRequest(url, {})).toMatchObject({ user: 'u', password: 'p', settings: [['max_threads', '1']] });
    const basic = `Basic ${Buffer.from('b:c:d').toString('base64')}`;
    expect(readRequest(url, { authorization: basic })).toMatchObject({ user: 'b', password: 'c:d' });
    const own = { 'x-clickhouse-user': 'h', 'x-clickhouse-key': 'k', 'x-clickhouse-format': 'TSV' };
    expect(readRequest(url, own)).toMatchObject({
      user: 'h',
      password: 'k',
      params: [['x', 'a']],
      defaultFormat: 'TSV',
    });
  });

  it('refuses what it cannot honour', () => {
    expect(() => readRequest(new URLSearchParams('session_id=x&session_timeout=99999'), {})).toThrow(/timeout/);
    expect(() => readRequest(new URLSearchParams(), { authorization: 'Bearer x' })).toThrow(/Bearer/);
  });

  it('chooses an encoding that the client names', () => {
    expect(chooseEncoding('lz4, br;q=0.9, gzip')).toBe('br');
    expect(chooseEncoding('identity')).toBeUndefined();
  });
});

describe('a lane', () => {
  it('bounds what runs and what waits, passes places on in order, and lets the waiting give up', async () => {
    const lane = new Bulkhead('test', { concurrency: 1, queue: 2 });
    const never = new AbortController().signal;
    const first = await lane.enter(never);
    const order: string[] = [];
    const gone = new AbortController();
    const left = lane.enter(gone.signal);
    const second = lane.enter(never).then((leave) => {
      order.push('second');
      return leave;
    });
    await expect(lane.enter(never)).rejects.toMatchObject({ code: 202 });
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 394 });
    const third = lane.enter(never).then((leave) => {
      order.push('third');
      return leave;
    });
    first();
    first();
    (await second)();
    (await third)();
    expect(order).toEqual(['second', 'third']);
    expect([lane.running, lane.waiting]).toEqual([0, 0]);
  });
});
