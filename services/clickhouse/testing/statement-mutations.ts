import fc from 'fast-check';

/** What a hostile statement aims at: a file that must not be read, and a folder in which nothing may appear. */
export interface Targets {
  readonly canaryFile: string;
  readonly folder: string;
}

export interface Attack {
  readonly sql: string;
  readonly params: Readonly<Record<string, string>>;
}

const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
/** Ways to write one text that engines and lexers are known to disagree on. */
const LITERALS: readonly ((text: string) => string)[] = [
  quote,
  (text) => `$$${text}$$`,
  (text) => `$tag$${text}$tag$`,
  (text) => `‘${text}’`,
  (text) => `'${[...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}'`,
  (text) => `unhex('${Buffer.from(text).toString('hex')}')`,
  (text) => `{secret:String}/*${text}*/`,
];
const NAMES: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => `\`${name}\``,
  (name) => `"${name}"`,
  (name) => `\`\\x${name.charCodeAt(0).toString(16)}${name.slice(1)}\``,
  (name) => `“${name}”`,
  () => '{name:Identifier}',
];
const HIDING: readonly ((sql: string) => string)[] = [
  (sql) => sql,
  (sql) => `/* /* */ ' */ ${sql} /* ' */`,
  (sql) => `/* ' */ ${sql} /* ' */`,
  (sql) => `-- '\n${sql} -- '`,
  (sql) => `# '\n${sql}`,
  (sql) => `#!'\n${sql}`,
  (sql) => `'' || ${sql}`,
  (sql) => `$a$ $a$ || ${sql}`,
  (sql) => `‘'’ || ${sql} || ‘'’`,
  (sql) => `"\`" , ${sql}, "\`"`,
  (sql) => `'\\'' || ${sql}`,
  (sql) => `/*\\*/ ${sql} /**/`,
  (sql) => `/*/ ${sql} /*/ */ ${sql}`,
];
/** The first of them may stand around a whole statement, the others in an expression alone. */
const COMMENTS = 6;
const SPACES = [' ', '\n', '\t', '\u00a0', '\u2003', '\ufeff', '/**/', '/* /* */ */', '--\n', '\v', '\f', '\r\n'];

/** Expressions that give a file's content, with `F` for a name's spelling and `P` for a literal's. */
// biome-ignore format: one line a handful
const READING = [
  'F(P)', 'arrayMap(F, [P])', 'arrayMap(x -> F(x), [P])', 'arrayFold((a, x) -> F(x), [P], P)', "catboostEvaluate(P, 1)",
  '(SELECT F(P))', "transform(1, [1], [F(P)])", 'if(1, F(P), P)', 'materialize(F(P))', 'F(P, NULL)', 'formatRow(P, 1)',
  'dictGet(P, P, 1)', 'joinGet(P, P, 1)', 'showCertificate()', 'evalMLMethod(P)', "toString(P IN F(P, 'LineAsString'))",
];
/** Tables that read files or reach out. */
// biome-ignore format: one line a handful
const TABLES = [
  "F(P, 'LineAsString')", "url(P, 'LineAsString')", "executable(P, 'TSV', 'x String')", "s3(P, 'TSV', 'x String')",
  "remote('127.0.0.1:9', 'system.one')", 'sqlite(P, P)', "mysql('127.0.0.1:9', P, P, 'u', 'p')", 'merge(P)', "loop(F(P))",
  "fileCluster('c', P)", "iceberg(P)", "deltaLakeLocal(P)", "filesystem(P)", "format(JSONEachRow, 'x String DEFAULT F(P)', '{}')",
  "values('x String DEFAULT F(P)', P)", 'view(SELECT F(P))', 'viewExplain(P, P, (SELECT F(P)))', 'eval(P)', '`PATH`', "'PATH'",
  "dictionary(P)", "input('x String')", "generateRandom('x String ALIAS F(P)')", 'hdfs(P)', "jdbc(P, P)", "icebergLocal(P)",
];
// biome-ignore format: one line a handful
const TAILS = [
  '', ' FORMAT TSV', ' INTO OUTFILE W', ' INTO OUTFILE W APPEND FORMAT TSV', ' FORMAT Template SETTINGS format_template_row = P',
  " SETTINGS format_schema = P", " FORMAT Protobuf SETTINGS format_schema = P, output_format_schema = W",
  " FORMAT CapnProto SETTINGS output_format_schema = W", " SETTINGS additional_table_filters = {'parts': 'length(F(P)) > 0'}",
  " SETTINGS additional_result_filter = 'F(P) != P'", ' SETTINGS implicit_select = 1', " SETTINGS max_threads = 1, dialect = 'prql'",
  ' PARALLEL WITH SELECT F(P)', '; SELECT F(P)', ' UNION ALL SELECT F(P)', ' WHERE P IN F(P)', ' INTO OUTFILE W TRUNCATE COMPRESSION W',
];
// biome-ignore format: one line a handful
const STATEMENTS = [
  'INSERT INTO FUNCTION F(W, TSV, P) SELECT 1', 'INSERT INTO parts FROM INFILE P FORMAT TSV', 'CREATE FUNCTION f AS x -> F(x)',
  'CREATE TEMPORARY TABLE x (a String) ENGINE = File(TSV, W)', "BACKUP TABLE parts TO File(W)", "RESTORE TABLE parts FROM File(P)",
  'ATTACH TABLE x FROM P (a String) ENGINE = MergeTree ORDER BY a', 'SYSTEM SHUTDOWN', 'SYSTEM DROP CACHE', 'KILL QUERY WHERE 1',
  'SET format_schema = P', 'SET profile = P', 'SET ROLE admin', 'EXPLAIN SELECT F(P)', 'EXPLAIN AST SELECT F(P)', 'DESCRIBE TABLE F(P)',
  'EXPLAIN PLAN SELECT F(P)', 'EXPLAIN TABLE OVERRIDE mysql(P, P, P, P, P) COLUMNS (x Int8)', 'EXECUTE AS default SELECT F(P)',
  'CREATE DICTIONARY d (a String) PRIMARY KEY a SOURCE(FILE(path P format TSV)) LAYOUT(DIRECT())', 'CHECK TABLE F(P)',
  'WITH F AS f SELECT arrayMap(f, [P])', 'WITH x -> F(x) AS f SELECT f(P)', 'SELECT * APPLY F FROM (SELECT P)', 'USE `PATH`',
  'SELECT * APPLY(x -> F(x)) FROM (SELECT P)', 'SELECT COLUMNS(P) APPLY F FROM (SELECT P)', 'EXISTS TABLE F(P)', 'DROP TABLE parts',
  'CREATE VIEW v AS SELECT F(P)', 'ALTER TABLE parts MODIFY COLUMN s DEFAULT F(P)', 'SHOW CREATE USER default', 'FROM F(P) SELECT *',
];
// biome-ignore format: one line a handful
const SETTINGS = [
  'format_schema', 'output_format_schema', 'format_template_row', 'format_template_resultset', 'additional_result_filter',
  'dialect', 'implicit_select', 'default_format', 'profile', 'readonly', 'role', 'database', 'log_comment', 'param_secret',
  'param_name', 'query', 'insert_format_schema', 'format_schema_source', 'session_id', 'external_storage_max_read_rows',
  'allow_experimental_eval_table_function', 'max_execution_time', 'file_like_engine_default_partition_strategy',
];

const pick = <T>(from: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...from);

/** Statements that try to read, write or create a file, or to end the process, disguised in every way listed. */
export function attacks({ canaryFile, folder }: Targets): fc.Arbitrary<Attack> {
  const select = fc
    .record({ what: pick(READING), hide: pick(HIDING), from: fc.option(pick(TABLES)), tail: pick(TAILS) })
    .map(({ what, hide, from, tail }) => `SELECT ${hide(what)}${from === null ? '' : ` FROM ${from}`}${tail}`);
  const whole = fc
    .record({ what: pick(STATEMENTS), hide: pick(HIDING.slice(0, COMMENTS)) })
    .map(({ what, hide }) => hide(what));
  return fc
    .record({
      sql: fc.oneof(select, select, whole),
      name: pick(NAMES),
      literal: pick(LITERALS),
      space: pick(SPACES),
      target: fc.nat({ max: 1_000_000 }),
      edits: fc.array(
        fc.tuple(
          fc.nat(),
          pick(['', "'", '`', '"', '$', '$$', '/*', '*/', '--', '\\', '\0', 'ü', '‘', ';', '(', '{', '\n']),
        ),
        {
          maxLength: 3,
        },
      ),
      edited: fc.nat({ max: 3 }),
      settings: fc.dictionary(pick(SETTINGS), pick([canaryFile, 'kusto', '1', 'file', 'TSV', `${folder}/w`, '']), {
        maxKeys: 2,
      }),
      withSettings: fc.nat({ max: 3 }),
    })
    .map(({ sql, name, literal, space, target, edits, edited, settings, withSettings }) => {
      const filled = sql
        .replace(/\bF\b/g, () => name('file'))
        .replace(/\bP\b/g, () => literal(canaryFile))
        .replace(/\bW\b/g, () => literal(`${folder}/w${target}`))
        .replace(/\bPATH\b/g, () => canaryFile)
        .replace(/ /g, () => space);
      const text =
        edited > 0 ? filled : edits.reduce((so, [at, edit]) => insertAt(so, at % (so.length + 1), edit), filled);
      const params = { param_secret: canaryFile, param_name: 'file', ...(withSettings === 0 ? settings : {}) };
      return { sql: text, params };
    });
}

const insertAt = (text: string, at: number, piece: string): string => text.slice(0, at) + piece + text.slice(at);
