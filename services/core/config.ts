import { readFileSync } from 'node:fs';
import { messageOf, ParleyError } from './errors.ts';

/**
 * One configuration variable: its default, a reader that returns the value or `undefined` when the text is not
 * allowed, and the words for what is allowed. The variable's name is its key in the spec.
 */
export interface Variable<T> {
  readonly default: T | undefined;
  readonly read: (text: string) => T | undefined;
  readonly allowed: string;
  readonly doc: string;
  /** The value is never printed, not even in an error. It may stand in a file that the variable `<name>_FILE` names. */
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

const PEM = /-----BEGIN [A-Z0-9 ]+-----[\s\S]+-----END [A-Z0-9 ]+-----/;

/**
 * A certificate or key in PEM: the text itself (line ends may be written `\n`), or the path of a file that holds it.
 * Never printed, since a key may stand in its place by mistake.
 */
export const pem = (options: Options<string>): Variable<string> =>
  variable(
    options,
    'PEM text that begins with -----BEGIN, or the path of a readable file that holds it',
    (value) => {
      const text = PEM.test(value) ? value.replaceAll('\\n', '\n') : readTextFile(value);
      return text !== undefined && PEM.test(text) ? text : undefined;
    },
    true,
  );

function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** A redis or rediss URL, which may hold a password and so is never printed. */
export const redisUrl = (options: Options<string>): Variable<string> =>
  variable(
    options,
    'a redis:// or rediss:// URL',
    (value) => (URL.canParse(value) && /^rediss?:$/.test(new URL(value).protocol) ? value : undefined),
    true,
  );

/** Host and port of `host:port` or `[IPv6]:port`. */
export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

const HOST_PORT = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:,/[\]]+)):(\d{1,5})$/;

/** @returns undefined for anything else, such as a URL, a bare host or an IPv6 address without brackets. */
export function parseHostPort(value: string): HostPort | undefined {
  const [, bracketed, plain, port] = HOST_PORT.exec(value) ?? [];
  const host = bracketed ?? plain;
  return host !== undefined && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined;
}

/** A comma-separated list of host:port; empty items, as a trailing comma leaves, are passed over. */
export const hostPorts = (options: Options<readonly string[]>): Variable<readonly string[]> =>
  variable(options, 'a comma-separated list of host:port, such as kafka-1:9092,[::1]:9092', (value) => {
    const items = value.split(',').flatMap((item) => item.trim() || []);
    return items.length > 0 && items.every((item) => parseHostPort(item)) ? items : undefined;
  });

/** An http or https URL that may hold `user:password@`, and so is never printed. */
export const privateUrl = (options: Options<string>): Variable<string> => ({ ...url(options), secret: true });

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

/** The same for header names and values that may be secrets. */
export const privatePairs = (
  options: Options<Readonly<Record<string, string>>>,
): Variable<Readonly<Record<string, string>>> => ({ ...pairs(options), secret: true });

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads all variables of a spec at once.
 *
 * @throws {ParleyError} CONFIG_INVALID listing every wrong variable with its value and what is allowed.
 */
export function readConfig<S extends Spec>(spec: S, env: Environment): ConfigOf<S> {
  const { config, problems } = readAll(spec, env);
  if (problems.length > 0) throw new ParleyError('CONFIG_INVALID', problems.join('. '));
  return config;
}

/**
 * Reads variables of somebody else's specification, which asks for a warning where a value is wrong: the default takes
 * its place. Each variable of the spec must have one, or be optional.
 */
export function readLeniently<S extends Spec>(spec: S, env: Environment, warn: (problem: string) => void): ConfigOf<S> {
  const { config, problems } = readAll(spec, env);
  for (const problem of problems) warn(`${problem}; the default is used`);
  return config;
}

function readAll<S extends Spec>(spec: S, env: Environment): { config: ConfigOf<S>; problems: readonly string[] } {
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [name, { default: fallback, read, allowed, secret: hidden }] of Object.entries(spec)) {
    config[name] = fallback === (OPTIONAL as unknown) ? undefined : fallback;
    const { text: raw, problem } = hidden ? fromFile(name, env) : { text: env[name], problem: undefined };
    if (problem !== undefined) {
      problems.push(problem);
      continue;
    }
    if (raw === undefined || raw === '') {
      if (fallback === undefined) problems.push(`${name} is not set; allowed is ${allowed}`);
      continue;
    }
    const value = read(raw);
    if (value !== undefined) config[name] = value;
    else problems.push(`${name} is ${hidden ? 'set to a secret' : JSON.stringify(raw)}; allowed is ${allowed}`);
  }
  return { config: config as ConfigOf<S>, problems };
}

/** A secret's text: of the variable itself, or of the file that `<name>_FILE` names, less the line's end. */
function fromFile(name: string, env: Environment): { text?: string | undefined; problem?: string | undefined } {
  const path = env[`${name}_FILE`];
  if (path === undefined || path === '') return { text: env[name] };
  if (env[name]) return { problem: `${name} and ${name}_FILE are both set; allowed is one of them` };
  try {
    return { text: readFileSync(path, 'utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    return {
      problem: `${name}_FILE is ${JSON.stringify(path)}; allowed is the path of a readable file (${messageOf(error)})`,
    };
  }
}
