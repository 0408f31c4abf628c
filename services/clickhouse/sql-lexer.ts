import { endOfQuoted } from '../platform/clickhouse/sql-statements.ts';

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
const BLOCK_COMMENT_EDGE = /\/\*|\*\//g;
const QUOTES = '\'"`';
const HEREDOC_EDGE = /\$\w*\$/y;

const endOf = (pattern: RegExp, sql: string, at: number): number => {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : at;
};

/** The end of a block comment at `at`, or `at`. Comments nest, as the engine's do; without an end they end with the text. */
function endOfComment(sql: string, at: number): number {
  if (!sql.startsWith('/*', at)) return at;
  BLOCK_COMMENT_EDGE.lastIndex = at;
  let depth = 0;
  for (let edge = BLOCK_COMMENT_EDGE.exec(sql); edge; edge = BLOCK_COMMENT_EDGE.exec(sql)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return BLOCK_COMMENT_EDGE.lastIndex;
  }
  return sql.length;
}

/**
 * Heredocs of one text. All edges are found in one pass (between two dollar signs a character is looked at once), so
 * that a thousand openings without an end cost no more than one.
 */
class Heredocs {
  readonly #sql: string;
  #edges: Map<string, number[]> | undefined;

  constructor(sql: string) {
    this.#sql = sql;
  }

  /** The end of a heredoc that opens at `at`, or `at`. To be asked for growing offsets. */
  endOf(at: number): number {
    HEREDOC_EDGE.lastIndex = at;
    const edge = HEREDOC_EDGE.exec(this.#sql)?.[0];
    if (edge === undefined) return at;
    this.#edges ??= this.#find();
    const places = this.#edges.get(edge) ?? [];
    while ((places.at(-1) ?? at + edge.length) < at + edge.length) places.pop();
    const close = places.at(-1);
    return close === undefined ? at : close + edge.length;
  }

  /** Places of each edge, the last first. */
  #find(): Map<string, number[]> {
    const edges = new Map<string, number[]>();
    for (let at = this.#sql.lastIndexOf('$'); at >= 0; at = at > 0 ? this.#sql.lastIndexOf('$', at - 1) : -1) {
      HEREDOC_EDGE.lastIndex = at;
      const edge = HEREDOC_EDGE.exec(this.#sql)?.[0];
      if (edge === undefined) continue;
      const places = edges.get(edge);
      if (places) places.push(at);
      else edges.set(edge, [at]);
    }
    return edges;
  }
}

const OPENING = '([{';
const CLOSING = ')]}';

/**
 * Tokens of `sql`, comments and spaces left out. Only what is needed to find clauses at a statement's own level is
 * told apart: the engine's parser stays the judge of everything else. Lazy, so that an insert's data is not read.
 * What an analyst may do is never judged on a client's own text but on what the engine printed (`statement-printer.ts`).
 */
export function* tokenize(sql: string): Generator<Token> {
  const heredocs = new Heredocs(sql);
  let at = 0;
  let depth = 0;
  while (at < sql.length) {
    const skipped = endOfComment(sql, endOf(LINE_COMMENT, sql, endOf(SPACE, sql, at)));
    if (skipped > at) {
      at = skipped;
      continue;
    }
    const char = sql.charAt(at);
    const token = (kind: Token['kind'], end: number, text = ''): Token => ({ kind, text, start: at, end, depth });
    let next: Token;
    if (QUOTES.includes(char)) next = token(char === "'" ? 'string' : 'quoted', endOfQuoted(sql, at, char));
    else if (char === '$' && heredocs.endOf(at) > at) next = token('string', heredocs.endOf(at));
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
