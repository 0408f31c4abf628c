import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quote, quoteName } from '../platform/clickhouse/sql-statements.ts';
import type { Engine } from './engine.ts';
import { ClickHouseException } from './exception.ts';
import type { ExternalTable } from './multipart.ts';
import type { Connection } from './native.ts';
import { elementType, parseType } from './native-types.ts';

/** An external table, ready to be made: nothing of it but checked names, checked types and a file's path is SQL. */
export interface PreparedTable {
  readonly create: string;
  readonly insert: string;
  readonly file: string;
  readonly isEmpty: boolean;
}

const LITERAL = /^(?:-?\d+|'(?:[^'\\]|\\.)*'(?:\s*=\s*-?\d+)?)$/;
const COLUMN = /^(`(?:[^`\\]|\\.)+`|[A-Za-z_]\w*)\s+(.+)$/s;
const MAX_DEPTH = 20;
const SUFFIXES = ['_structure', '_types', '_format'] as const;

/** Names of URL parameters that describe external tables, and so are no settings. */
export const parametersOf = (tables: readonly ExternalTable[]): ReadonlySet<string> =>
  new Set(tables.flatMap(({ name }) => SUFFIXES.map((suffix) => name + suffix)));

const bad = (text: string) => new ClickHouseException('BAD_ARGUMENTS', text);

/** Whether a text is a type and nothing else: no default, no expression. */
function isType(engine: Engine, text: string, depth = 0): boolean {
  const { name, args } = parseType(text);
  if (depth > MAX_DEPTH || !engine.typeNames.has(name.toLowerCase())) return false;
  const whole = args.length === 0 ? name : `${name}(${args.join(', ')})`;
  const spaceless = (value: string) => value.replace(/\s+/g, '');
  if (spaceless(whole) !== spaceless(text)) return false;
  return args.every((arg) => LITERAL.test(arg) || isType(engine, elementType(arg), depth + 1));
}

function columnsOf(engine: Engine, url: URLSearchParams, name: string): string {
  const structure = url.get(`${name}_structure`);
  const types = url.get(`${name}_types`);
  const text = structure ?? types;
  if (!text) throw bad(`External table ${name} needs the parameter ${name}_structure or ${name}_types`);
  const list = parseType(`Columns(${text})`);
  if (list.name !== 'Columns' || list.args.length === 0)
    throw bad(`External table ${name}: ${text} is no list of columns`);
  const columns = list.args.map((column, index) => {
    const [, columnName, type] = structure === null ? [column, `_${index + 1}`, column] : (COLUMN.exec(column) ?? []);
    if (columnName && type && isType(engine, type)) return `${columnName} ${type}`;
    throw bad(`External table ${name}: ${column} is no column; allowed are names with types alone`);
  });
  return columns.join(', ');
}

/** @throws {ClickHouseException} BAD_ARGUMENTS, UNKNOWN_FORMAT. */
export function prepareTable(
  engine: Engine,
  url: URLSearchParams,
  table: ExternalTable,
  dir: string,
  tag: string,
): PreparedTable {
  const { name, data } = table;
  const format = url.get(`${name}_format`) || 'TabSeparated';
  if (!engine.isFormat(format)) throw new ClickHouseException('UNKNOWN_FORMAT', `Unknown format ${format}`);
  const columns = columnsOf(engine, url, name);
  const file = join(dir, tag);
  writeFileSync(file, data, { mode: 0o600 });
  return {
    create: `CREATE TEMPORARY TABLE ${quoteName(name)} (${columns}) ENGINE = Memory`,
    insert: `INSERT INTO ${quoteName(name)} FROM INFILE ${quote(file)} FORMAT ${format}`,
    file,
    isEmpty: data.length === 0,
  };
}

/** Makes a table on a connection that has no other user: before a role is taken on. */
export async function createTable(engine: Engine, connection: Connection, table: PreparedTable): Promise<void> {
  await engine.query(connection, table.create);
  if (table.isEmpty) return;
  await engine.write(connection, table.insert);
}
