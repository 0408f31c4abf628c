import { ParleyError } from './errors.ts';

/**
 * One configuration variable: its default, a reader that returns the value or `undefined` when the text is not
 * allowed, and the words for what is allowed. The variable's name is its key in the spec.
 */
export interface Variable<T> {
  readonly default: T | undefined;
  readonly read: (text: string) => T | undefined;
  readonly allowed: string;
  readonly doc: string;
  /** The value is never printed, not even in an error. */
  readonly secret: boolean;
}

export type Spec = Readonly<Record<string, Variable<unknown>>>;
export type ConfigOf<S extends Spec> = { readonly [K in keyof S]: S[K] extends Variable<infer T> ? T : never };

interface Options<D> {
  readonly default?: D;
  readonly doc: string;
}

function variable<T>(options: Options<T>, allowed: string, read: (text: string) => T | undefined, secret = false) {
  return { default: options.default, doc: options.doc, allowed, read, secret };
}

/** Any text that is not empty. */
export const text = (options: Options<string>): Variable<string> =>
  variable(options, 'a text that is not empty', (value) => value);

/** A text that is never printed. */
export const secret = (options: Options<string>): Variable<string> =>
  variable(options, 'a text', (value) => value, true);

/** A text that may be missing. */
export const optional = <T>(inner: Variable<T>): Variable<T | undefined> => ({ ...inner, default: OPTIONAL as never });
const OPTIONAL = Symbol('optional');

export const int = (options: Options<number> & { min: number; max: number }): Variable<number> =>
  variable(options, `an integer from ${options.min} to ${options.max}`, (value) => {
    const parsed = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
    return parsed >= options.min && parsed <= options.max ? parsed : undefined;
  });

export const number = (options: Options<number> & { min: number; max: number }): Variable<number> =>
  variable(options, `a number from ${options.min} to ${options.max}`, (value) => {
    const parsed = value.trim() === '' ? Number.NaN : Number(value);
    return parsed >= options.min && parsed <= options.max ? parsed : undefined;
  });

export const flag = (options: Options<boolean>): Variable<boolean> =>
  variable(options, 'true or false', (value) => ({ true: true, false: false, 1: true, 0: false })[value]);

export const oneOf = <const T extends string>(values: readonly T[], options: Options<T>): Variable<T> =>
  variable(options, `one of ${values.join(', ')}`, (value) => values.find((candidate) => candidate === value));

/** An http or https URL; a trailing slash is dropped. */
export const url = (options: Options<string>): Variable<string> =>
  variable(options, 'an http:// or https:// URL', (value) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    return parsed && /^https?:$/.test(parsed.protocol) ? value.replace(/\/+$/, '') : undefined;
  });

/** A redis or rediss URL, which may hold a password and so is never printed. */
export const redisUrl = (options: Options<string>): Variable<string> =>
  variable(
    options,
    'a redis:// or rediss:// URL',
    (value) => (URL.canParse(value) && /^rediss?:$/.test(new URL(value).protocol) ? value : undefined),
    true,
  );

/** A comma-separated list of host:port. */
export const hostPorts = (options: Options<readonly string[]>): Variable<readonly string[]> =>
  variable(options, 'a comma-separated list of host:port', (value) => {
    const items = value.split(',').map((item) => item.trim());
    return items.every((item) => /^[^\s:,]+:\d{1,5}$/.test(item)) ? items : undefined;
  });

/** A comma-separated list of name=value; values may be percent-encoded. */
export const pairs = (options: Options<Readonly<Record<string, string>>>): Variable<Readonly<Record<string, string>>> =>
  variable(options, 'a comma-separated list of name=value', (value) => {
    const items = value.split(',').map((item) => /^\s*([^\s=]+)\s*=\s*(.*?)\s*$/.exec(item));
    if (!items.every((item) => item !== null)) return undefined;
    try {
      return Object.fromEntries(items.map(([, name = '', text = '']) => [name, decodeURIComponent(text)]));
    } catch {
      // A percent sign that encodes nothing.
      return undefined;
    }
  });

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads all variables of a spec at once.
 *
 * @throws {ParleyError} CONFIG_INVALID listing every wrong variable with its value and what is allowed.
 */
export function readConfig<S extends Spec>(spec: S, env: Environment): ConfigOf<S> {
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [name, { default: fallback, read, allowed, secret: hidden }] of Object.entries(spec)) {
    const raw = env[name];
    if (raw === undefined || raw === '') {
      if (fallback === undefined) problems.push(`${name} is not set; allowed is ${allowed}`);
      config[name] = fallback === (OPTIONAL as unknown) ? undefined : fallback;
      continue;
    }
    config[name] = read(raw);
    if (config[name] === undefined) {
      problems.push(`${name} is ${hidden ? 'set to a secret' : JSON.stringify(raw)}; allowed is ${allowed}`);
    }
  }
  if (problems.length > 0) throw new ParleyError('CONFIG_INVALID', problems.join('. '));
  return config as ConfigOf<S>;
}
