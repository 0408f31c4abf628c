import { type Token, tokenize } from './sql-lexer.ts';

/**
 * What a statement is, as far as the endpoint must know it to run it: where an insert's data begin, and where the
 * clause can be put that makes the engine write a result to a pipe or read rows from a file.
 */
export type Statement =
  | {
      readonly kind: 'insert';
      /** The statement up to the place of `FROM INFILE`. */
      readonly head: string;
      /** The rest of the statement, from `SETTINGS` or `FORMAT` on, with `VALUES` turned into `FORMAT Values`. */
      readonly tail: string;
      /** Where inline data begin, an offset into the text. */
      readonly dataAt: number;
      readonly format: string;
    }
  | {
      readonly kind: 'result';
      /** The statement up to the place of `INTO OUTFILE`, and the rest (`FORMAT …`, `SETTINGS …`). */
      readonly head: string;
      readonly tail: string;
      /** The format that the statement itself names. */
      readonly format: string | undefined;
    }
  | { readonly kind: 'insert-select' | 'set' | 'kill' | 'use' | 'other'; readonly text: string }
  | { readonly kind: 'refused'; readonly reason: 'outfile' | 'infile' | 'empty' | 'multiple' };

const RESULT_WORDS: ReadonlySet<string> = new Set([
  'SELECT',
  'WITH',
  'SHOW',
  'DESCRIBE',
  'DESC',
  'EXPLAIN',
  'EXISTS',
  'FROM',
  'CHECK',
  'VALUES',
]);

export const isWord = (token: Token | undefined, ...words: string[]): boolean =>
  token?.kind === 'word' && words.includes(token.text);
export const isSymbol = (token: Token | undefined, text: string): boolean =>
  token?.kind === 'symbol' && token.text === text;

/** An insert's data may be large: its text is lexed only up to them. */
function readInsert(sql: string): Statement {
  let clauseAt: number | undefined;
  let before: Token | undefined;
  for (const token of tokenize(sql)) {
    const previous = before;
    before = token;
    if (token.depth > 0) continue;
    if (isSymbol(token, ';')) break;
    // The table's own name may be any word; so may a column's, but those stand in brackets.
    if (token.kind !== 'word' || !previous || isSymbol(previous, '.')) continue;
    if (isWord(previous, 'FORMAT') && clauseAt !== undefined) {
      const tail = sql.slice(clauseAt, token.end);
      const format = sql.slice(token.start, token.end);
      return { kind: 'insert', head: sql.slice(0, clauseAt), tail, dataAt: token.end, format };
    }
    if (isWord(previous, 'INSERT', 'INTO', 'TABLE', 'FUNCTION')) continue;
    if (token.text === 'INFILE') return { kind: 'refused', reason: 'infile' };
    if (isWord(token, 'SELECT', 'WITH', 'WATCH')) return { kind: 'insert-select', text: sql };
    if (token.text === 'VALUES') {
      const from = clauseAt ?? token.start;
      const tail = `${sql.slice(from, token.start)}FORMAT Values`;
      return { kind: 'insert', head: sql.slice(0, from), tail, dataAt: token.end, format: 'Values' };
    }
    if (isWord(token, 'SETTINGS', 'FORMAT')) clauseAt ??= token.start;
  }
  return { kind: 'insert-select', text: sql };
}

function readResult(sql: string, tokens: readonly Token[], isFormat: (name: string) => boolean): Statement {
  const last = tokens.at(-1);
  const end = isSymbol(last, ';') ? (last?.start ?? sql.length) : (last?.end ?? 0);
  for (let index = tokens.length - 2; index > 0; index -= 1) {
    const token = tokens[index];
    const name = tokens[index + 1];
    if (token?.depth !== 0 || !isWord(token, 'FORMAT') || name?.kind !== 'word') continue;
    const format = sql.slice(name.start, name.end);
    const after = tokens[index + 2];
    const closes = after === undefined || isSymbol(after, ';') || isWord(after, 'SETTINGS', 'PARALLEL');
    if (!closes || !isFormat(format)) continue;
    const place = tokens[lastSettings(tokens, index)]?.start ?? token.start;
    return { kind: 'result', head: sql.slice(0, place), tail: sql.slice(place, end), format };
  }
  const place = tokens[lastSettings(tokens, tokens.length)]?.start ?? end;
  return { kind: 'result', head: sql.slice(0, place), tail: sql.slice(place, end), format: undefined };
}

/** The clause SETTINGS that ends the first `count` tokens, or -1: INTO OUTFILE has to stand before it. */
function lastSettings(tokens: readonly Token[], count: number): number {
  for (let index = count - 3; index > 0; index -= 1) {
    const token = tokens[index];
    if (token?.depth !== 0) continue;
    if (isWord(token, 'SELECT', 'UNION', 'EXCEPT', 'INTERSECT')) return -1;
    if (isWord(token, 'SETTINGS') && tokens[index + 1]?.kind === 'word' && isSymbol(tokens[index + 2], '='))
      return index;
  }
  return -1;
}

/**
 * Reads one statement. `isFormat` tells format names from column names (`ORDER BY format DESC`). More than one
 * statement is refused, as by ClickHouse's own HTTP interface, and so is what would touch files on this machine.
 * On a client's own text it says no more than whether rows follow and where; on the engine's printed text it is exact.
 */
export function readStatement(sql: string, isFormat: (name: string) => boolean): Statement {
  let first: Token | undefined;
  let second: Token | undefined;
  for (const token of tokenize(sql)) {
    if (isSymbol(token, '(')) continue;
    if (first) {
      second = token;
      break;
    }
    first = token;
  }
  if (!first || isSymbol(first, ';')) return { kind: 'refused', reason: 'empty' };
  if (isWord(first, 'INSERT')) return readInsert(sql);
  const tokens = [...tokenize(sql)];
  const semicolon = tokens.findIndex((token) => isSymbol(token, ';'));
  if (semicolon >= 0 && semicolon < tokens.length - 1) return { kind: 'refused', reason: 'multiple' };
  if (tokens.some((token, index) => isWord(token, 'OUTFILE') && isWord(tokens[index - 1], 'INTO'))) {
    return { kind: 'refused', reason: 'outfile' };
  }
  if (isWord(first, 'WITH') && tokens.some((token) => token.depth === 0 && isWord(token, 'INSERT'))) {
    return { kind: 'insert-select', text: sql };
  }
  if (first.kind === 'word' && RESULT_WORDS.has(first.text)) return readResult(sql, tokens, isFormat);
  if (isWord(first, 'SET') && !isWord(second, 'ROLE', 'DEFAULT')) return { kind: 'set', text: sql };
  if (isWord(first, 'KILL') && isWord(second, 'QUERY')) return { kind: 'kill', text: sql };
  if (isWord(first, 'USE')) return { kind: 'use', text: sql };
  return { kind: 'other', text: sql };
}
