/**
 * Cuts SQL text into its statements at semicolons that stand outside of strings, quoted names and comments. Comments
 * stay in the statement they belong to; pieces of nothing but comments and blanks are left out.
 */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  let start = 0;
  let hasCode = false;
  for (let at = 0; at < sql.length; ) {
    const end = endOfQuoteOrComment(sql, at);
    if (end > at) {
      hasCode ||= !isCommentAt(sql, at);
      at = end;
      continue;
    }
    if (sql[at] === ';') {
      if (hasCode) statements.push(sql.slice(start, at).trim());
      start = at + 1;
      hasCode = false;
    } else if (!/\s/.test(sql[at] ?? '')) hasCode = true;
    at++;
  }
  if (hasCode) statements.push(sql.slice(start).trim());
  return statements;
}

const isCommentAt = (sql: string, at: number): boolean =>
  sql.startsWith('--', at) || sql.startsWith('/*', at) || sql.startsWith('#!', at) || sql.startsWith('# ', at);

/** The index after the string, quoted name or comment that begins at `at`; `at` itself when none does. */
function endOfQuoteOrComment(sql: string, at: number): number {
  const first = sql[at];
  if (first === "'" || first === '"' || first === '`') return endOfQuoted(sql, at, first);
  if (sql.startsWith('/*', at)) return endOfBlockComment(sql, at);
  if (isCommentAt(sql, at)) {
    const newline = sql.indexOf('\n', at);
    return newline < 0 ? sql.length : newline + 1;
  }
  return at;
}

/**
 * The index after the string or quoted name that begins at `at` with `quote`; the text's end where it does not end.
 * ClickHouse knows both escapes: a backslash and the quote doubled.
 */
export function endOfQuoted(sql: string, at: number, quote: string): number {
  let index = at + 1;
  while (index < sql.length) {
    if (sql[index] === '\\') index += 2;
    else if (sql[index] !== quote) index++;
    else if (sql[index + 1] === quote) index += 2;
    else return index + 1;
  }
  return sql.length;
}

/** Block comments nest in ClickHouse. */
function endOfBlockComment(sql: string, at: number): number {
  let depth = 0;
  for (let index = at; index < sql.length; index++) {
    if (sql.startsWith('/*', index)) {
      depth++;
      index++;
    } else if (sql.startsWith('*/', index)) {
      depth--;
      index++;
      if (depth === 0) return index + 1;
    }
  }
  return sql.length;
}

/** A string literal. */
export const quote = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** A quoted name of a database, table or column. */
export const quoteName = (name: string): string => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;

/** ClickHouse takes 256 KiB of SQL by default. */
const MAX_LIST_CHARS = 200_000;

/** Cuts literals into comma-separated lists that each fit one statement. */
export function* literalLists(literals: Iterable<string>): Generator<string> {
  let list: string[] = [];
  let chars = 0;
  for (const literal of literals) {
    if (chars + literal.length > MAX_LIST_CHARS && list.length > 0) {
      yield list.join(',');
      list = [];
      chars = 0;
    }
    list.push(literal);
    chars += literal.length + 1;
  }
  if (list.length > 0) yield list.join(',');
}
