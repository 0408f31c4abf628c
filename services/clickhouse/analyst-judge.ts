import type { User } from './access.ts';
import type { AnalystFunctions } from './analyst-functions.ts';
import { mayAnalystSet } from './analyst-settings.ts';
import { ClickHouseException } from './exception.ts';
import type { QueryRequest } from './request.ts';
import { type Token, tokenize } from './sql-lexer.ts';
import { isSymbol, isWord } from './statement.ts';

/** A printed statement: the engine's own words, so its tokens are ours. */
class Printed {
  readonly sql: string;
  readonly tokens: readonly Token[];

  constructor(sql: string) {
    this.sql = sql;
    this.tokens = [...tokenize(sql)];
  }

  /** The name at a place: a word as printed, or a quoted name unescaped; undefined for any other token. */
  nameAt(index: number): string | undefined {
    const token = this.tokens[index];
    if (token?.kind === 'word') return this.sql.slice(token.start, token.end);
    if (token?.kind !== 'quoted') return undefined;
    return this.sql.slice(token.start + 1, token.end - 1).replace(/\\([\s\S])/g, '$1');
  }
}

const denied = (user: User, what: string) =>
  new ClickHouseException('ACCESS_DENIED', `${user.name}: Not enough privileges: ${what}`);

const SHOWN: ReadonlySet<string> = new Set([
  ...['TABLES', 'DATABASES', 'COLUMNS', 'INDEX', 'INDEXES', 'INDICES', 'KEYS', 'FUNCTIONS', 'SETTING', 'SETTINGS'],
  ...['CHANGED', 'ENGINES', 'DICTIONARIES', 'FULL', 'EXTENDED', 'TEMPORARY', 'CLUSTERS', 'CLUSTER', 'PROCESSLIST'],
]);
const SHOWN_CREATION: ReadonlySet<string> = new Set(['TABLE', 'VIEW', 'DATABASE', 'DICTIONARY', 'TEMPORARY']);
const EXPLAINED: ReadonlySet<string> = new Set(['PLAN', 'PIPELINE', 'ESTIMATE', 'AST', 'SYNTAX', 'QUERY', 'TREE']);

/**
 * What an analyst may run, by lists of what is allowed: kinds of statement, functions, settings. The text judged is the
 * engine's own print of the statement, and it is what runs. Tables are the engine's matter (grants, row policies), and
 * so are bounds on settings.
 */
export class AnalystJudge {
  readonly #functions: AnalystFunctions;

  constructor(functions: AnalystFunctions) {
    this.#functions = functions;
  }

  /**
   * @param sql the statement as the engine prints it.
   * @throws {ClickHouseException} ACCESS_DENIED, SETTING_CONSTRAINT_VIOLATION, SET_NON_GRANTED_ROLE.
   */
  assertAllowed(user: User, request: QueryRequest, sql: string): void {
    const otherRole = request.roles.find((role) => role !== user.name);
    if (otherRole !== undefined) {
      throw new ClickHouseException('SET_NON_GRANTED_ROLE', `Role ${otherRole} is not granted to ${user.name}`);
    }
    for (const [name] of request.settings) assertSetting(user, name, false);
    const printed = new Printed(sql);
    assertReadable(user, printed);
    assertKind(user, printed);
    this.#assertNames(user, request, printed);
    for (const { name, isDefault } of assignments(printed)) assertSetting(user, name, isDefault);
  }

  #assertNames(user: User, request: QueryRequest, printed: Printed): void {
    const { tokens } = printed;
    for (let index = 0; index < tokens.length; index += 1) {
      if (isSymbol(tokens[index], '{')) {
        const end = endOfPlaceholder(tokens, index);
        if (end !== undefined) {
          this.#assertPlaceholder(user, request, printed, index);
          index = end;
          continue;
        }
      }
      const name = printed.nameAt(index);
      if (name === undefined) continue;
      const called = isSymbol(tokens[index + 1], '(') || isWord(tokens[index - 1], 'APPLY');
      if (called ? this.#functions.mayCall(name) : this.#functions.mayName(name)) continue;
      throw denied(user, `the name ${name} (a function that this user must not call) is not allowed`);
    }
  }

  /** `{name:Identifier}` puts a name into the statement after it was judged, so that name is judged here. */
  #assertPlaceholder(user: User, request: QueryRequest, printed: Printed, index: number): void {
    if (printed.nameAt(index + 3)?.toLowerCase() !== 'identifier') return;
    const parameter = printed.nameAt(index + 1);
    const value = request.params.findLast(([name]) => name === parameter)?.[1];
    if (value !== undefined && !value.includes('\\') && value.split('.').every((part) => this.#mayStand(part))) return;
    throw denied(user, `the value of {${parameter}:Identifier} has to come with the request and be a plain name`);
  }

  #mayStand = (part: string): boolean => this.#functions.mayName(part.replace(/^[`"]|[`"]$/g, '').trim());
}

/** `{name:Type}`, where the type may hold brackets: the place of its closing brace. */
function endOfPlaceholder(tokens: readonly Token[], open: number): number | undefined {
  if (tokens[open + 1]?.kind !== 'word' || !isSymbol(tokens[open + 2], ':')) return undefined;
  const depth = tokens[open]?.depth ?? 0;
  const end = tokens.findIndex((token, index) => index > open && isSymbol(token, '}') && token.depth === depth);
  return end < 0 ? undefined : end;
}

/** The engine prints ASCII outside of quotes, no comments, no dollar signs: where that fails, nothing can be judged. */
function assertReadable(user: User, { sql, tokens }: Printed): void {
  const unknown = tokens.find(
    ({ kind, text, start, end }) =>
      (kind === 'symbol' && (text > '~' || text === '$' || text === '#')) ||
      (kind === 'word' && sql.slice(start, end).includes('$')) ||
      ((kind === 'string' || kind === 'quoted') && (end - start < 2 || sql.at(start) !== sql.at(end - 1))) ||
      (kind === 'string' && sql.at(start) !== "'") ||
      (kind === 'quoted' && sql.at(start) !== '`'),
  );
  const gap = tokens.some(({ start }, index) => /\S/.test(sql.slice(tokens[index - 1]?.end ?? 0, start)));
  if (unknown || gap) throw denied(user, 'this statement cannot be judged');
}

function assertKind(user: User, { tokens }: Printed): void {
  const from = tokens.findIndex((token) => !isSymbol(token, '('));
  const [first, second, third] = tokens.slice(Math.max(0, from), from + 3);
  const isQuery = (token: Token | undefined) => isWord(token, 'SELECT', 'WITH') || isSymbol(token, '(');
  const reads = () => {
    if (isWord(first, 'SELECT', 'WITH', 'EXISTS', 'USE') || isWord(first, 'DESCRIBE')) return true;
    if (isWord(first, 'SET')) return !isWord(second, 'ROLE', 'DEFAULT', 'TRANSACTION');
    if (isWord(first, 'SHOW')) {
      return SHOWN.has(second?.text ?? '') || (isWord(second, 'CREATE') && SHOWN_CREATION.has(third?.text ?? ''));
    }
    if (!isWord(first, 'EXPLAIN')) return false;
    const query = tokens.findIndex((token, index) => index > from && isQuery(token));
    const words = tokens.slice(from + 1, Math.max(query, 0)).filter(({ kind }) => kind === 'word');
    const settings = tokens.slice(from + 1, query).filter((_, index, all) => isSymbol(all[index + 1], '='));
    return query > 0 && words.every((word) => EXPLAINED.has(word.text) || settings.includes(word));
  };
  if (!reads()) throw denied(user, 'this user can only read');
  const parallel = tokens.some((token, index) => isWord(token, 'PARALLEL') && isWord(tokens[index + 1], 'WITH'));
  if (parallel) throw denied(user, 'PARALLEL WITH is not allowed');
}

interface Assignment {
  readonly name: string;
  readonly isDefault: boolean;
}

/** What a statement assigns with `SET` or `SETTINGS`: `name = value`, as long as a comma and a further one follow. */
function assignments(printed: Printed): Assignment[] {
  const { tokens } = printed;
  const found: Assignment[] = [];
  tokens.forEach((token, index) => {
    if (!(isWord(token, 'SETTINGS') || (index === 0 && isWord(token, 'SET')))) return;
    let at = index + 1;
    for (
      let equals = endOfName(tokens, at);
      equals > at && isSymbol(tokens[equals], '=');
      equals = endOfName(tokens, at)
    ) {
      const name = printed.sql
        .slice(tokens[at]?.start, tokens[equals - 1]?.end)
        .replace(/`/g, '')
        .toLowerCase();
      found.push({ name, isDefault: isWord(tokens[equals + 1], 'DEFAULT') });
      const depth = token.depth;
      at = equals + 1;
      while (at < tokens.length && !(tokens[at]?.depth === depth && isSymbol(tokens[at], ','))) {
        const next = tokens[at];
        if ((next?.depth ?? 0) < depth || (next?.depth === depth && next.kind === 'word' && at > equals + 1)) break;
        at += 1;
      }
      if (!isSymbol(tokens[at], ',')) break;
      at += 1;
    }
  });
  return found;
}

/** The place after a name of words and dots. */
function endOfName(tokens: readonly Token[], from: number): number {
  let at = from;
  while (tokens[at]?.kind === 'word' || tokens[at]?.kind === 'quoted' || (at > from && isSymbol(tokens[at], '.')))
    at += 1;
  return at;
}

function assertSetting(user: User, name: string, isDefault: boolean): void {
  if (name.startsWith('param_')) return;
  if (name === 'profile') throw denied(user, 'the profile is fixed');
  const violation = (text: string) => new ClickHouseException('SETTING_CONSTRAINT_VIOLATION', text);
  if (!mayAnalystSet(name)) throw violation(`Setting ${name} should not be changed by ${user.name}`);
  if (isDefault && (name in user.limits || name === 'readonly')) {
    throw violation(`Setting ${name} shouldn't be reset by this user`);
  }
}
