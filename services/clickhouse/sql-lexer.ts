/**
 * A token of ClickHouse SQL. `text` is upper case for words and empty for string literals, whose contents never
 * matter here; `start` and `end` are offsets into the text that was given.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol';
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Nesting in (), [] and {}: 0 at the statement's own level. */
  readonly depth: number;
}

const SPACE = /\s*/y;
const WORD = /[A-Za-z_$][\w$]*/y;
const NUMBER = /\d[\w.]*/y;
const LINE_COMMENT = /(?:--|#!|# )[^\n]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?(?:\*\/|$)/y;
const QUOTED: Readonly<Record<string, RegExp>> = {
  "'": /'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y,
  '"': /"(?:[^"\\]|\\[\s\S]|"")*(?:"|$)/y,
  '`': /`(?:[^`\\]|\\[\s\S]|``)*(?:`|$)/y,
};
const HEREDOC = /\$(\w*)\$[\s\S]*?\$\1\$/y;

const endOf = (pattern: RegExp, sql: string, at: number): number => {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : at;
};

const OPENING = '([{';
const CLOSING = ')]}';

/**
 * Tokens of `sql`, comments and spaces left out. Only what is needed to find clauses at a statement's own level is
 * told apart: the engine's parser stays the judge of everything else. Lazy, so that an insert's data is not read.
 */
export function* tokenize(sql: string): Generator<Token> {
  let at = 0;
  let depth = 0;
  while (at < sql.length) {
    const skipped = [SPACE, LINE_COMMENT, BLOCK_COMMENT].reduce((from, pattern) => endOf(pattern, sql, from), at);
    if (skipped > at) {
      at = skipped;
      continue;
    }
    const char = sql.charAt(at);
    const token = (kind: Token['kind'], end: number, text = ''): Token => ({ kind, text, start: at, end, depth });
    const quoted = QUOTED[char];
    let next: Token;
    if (quoted) next = token(char === "'" ? 'string' : 'quoted', endOf(quoted, sql, at));
    else if (char === '$' && endOf(HEREDOC, sql, at) > at) next = token('string', endOf(HEREDOC, sql, at));
    else if (endOf(WORD, sql, at) > at) {
      const end = endOf(WORD, sql, at);
      next = token('word', end, sql.slice(at, end).toUpperCase());
    } else if (endOf(NUMBER, sql, at) > at) next = token('number', endOf(NUMBER, sql, at));
    else {
      if (CLOSING.includes(char)) depth = Math.max(0, depth - 1);
      next = token('symbol', at + 1, char);
      if (OPENING.includes(char)) depth += 1;
    }
    yield next;
    at = next.end;
  }
}
