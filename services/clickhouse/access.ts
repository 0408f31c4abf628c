import { createHash, timingSafeEqual } from 'node:crypto';
import { ClickHouseException } from './exception.ts';
import type { Pair, QueryRequest } from './request.ts';
import { CLOSED_SYSTEM_TABLES } from './system-tables.ts';

export interface Limits {
  readonly maxExecutionTimeS: number;
  readonly maxMemoryBytes: number;
  readonly maxResultRows: number;
}

/** A user of the endpoint. Inside the engine both are one user with two roles, as it knows no second login. */
export interface User {
  readonly name: 'default' | 'analyst';
  readonly password: string;
  readonly readonly: boolean;
  /** Set at the head of every request, before the request's own settings. */
  readonly limits: Readonly<Record<string, string>>;
}

/** Settings an analyst may lower, never raise; the engine enforces it with the constraints below. */
const ANALYST_BOUNDS = ({ maxExecutionTimeS, maxMemoryBytes, maxResultRows }: Limits): Record<string, string> => ({
  max_execution_time: String(maxExecutionTimeS),
  max_memory_usage: String(maxMemoryBytes),
  max_result_rows: String(maxResultRows),
});

export function createUsers(analystPassword: string, analyst: Limits, everyone: Omit<Limits, 'maxResultRows'>) {
  const users: User[] = [
    {
      name: 'default',
      password: '',
      readonly: false,
      limits: {
        max_execution_time: String(everyone.maxExecutionTimeS),
        max_memory_usage: String(everyone.maxMemoryBytes),
      },
    },
    { name: 'analyst', password: analystPassword, readonly: true, limits: ANALYST_BOUNDS(analyst) },
  ];
  return new Map(users.map((user) => [user.name as string, user]));
}

const digest = (value: string) => createHash('sha256').update(value).digest();

/** @throws {ClickHouseException} AUTHENTICATION_FAILED, the same for an unknown user as for a wrong password. */
export function authenticate(users: ReadonlyMap<string, User>, name: string, password: string): User {
  const user = users.get(name);
  const right = timingSafeEqual(digest(user?.password ?? ''), digest(password));
  if (user && right) return user;
  throw new ClickHouseException(
    'AUTHENTICATION_FAILED',
    `${name}: Authentication failed: password is incorrect, or there is no user with such name`,
  );
}

const escapeXml = (value: string) => value.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);

const MAX_ANALYST_THREADS = 64;
const FILE_SETTINGS = [
  'format_schema',
  'output_format_schema',
  'format_template_row',
  'format_template_resultset',
  'format_template_rows_between_delimiter',
];
const ADMIN_ONLY = "has(currentRoles(), 'admin')";

/**
 * The engine's users: one login that holds two roles. A request takes on the role of its user with `SET ROLE` on a
 * connection of its own, so the engine itself refuses an analyst's writes, DDL, file and network functions.
 */
export function usersXml(analyst: Limits): string {
  const bounds = Object.entries(ANALYST_BOUNDS(analyst))
    .map(([name, max]) => `<${name}><min>1</min><max>${escapeXml(max)}</max></${name}>`)
    .concat(`<max_threads><max>${MAX_ANALYST_THREADS}</max></max_threads>`)
    // The judge refuses these already; a schema is a file of this machine, read or written.
    .concat(FILE_SETTINGS.map((name) => `<${name}><readonly/></${name}>`))
    .join('');
  const rows = CLOSED_SYSTEM_TABLES.map((table) => `<${table}><filter>${ADMIN_ONLY}</filter></${table}>`).join('');
  return `<clickhouse>
  <profiles><default/><analyst><constraints>${bounds}</constraints></analyst></profiles>
  <roles>
    <admin><grants><query>GRANT ALL ON *.*</query></grants></admin>
    <analyst><grants><query>GRANT SELECT, SHOW ON *.*</query></grants></analyst>
  </roles>
  <users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <databases><system>${rows}</system></databases>
    <grants><query>GRANT admin</query><query>GRANT analyst</query></grants></default></users>
  <quotas><default/></quotas>
</clickhouse>
`;
}

/** What turns a connection into the user's, beyond the settings: nothing that follows can undo it. */
export const roleStatements = (user: User): readonly string[] =>
  user.readonly ? ['SET ROLE analyst', "SET profile = 'analyst'"] : [];

/**
 * The request with an analyst's time limit lowered to its user's. Drivers ask for their own deadline and some seconds
 * (clickhouse-go: 5), which is a wish and no reason to refuse the query.
 */
export function withinBounds(user: User, request: QueryRequest): QueryRequest {
  const bound = user.limits[TIME_LIMIT];
  if (!user.readonly || bound === undefined) return request;
  const lower = ([name, value]: Pair): Pair =>
    name === TIME_LIMIT && (Number(value) > Number(bound) || Number(value) === 0) ? [name, bound] : [name, value];
  return { ...request, settings: request.settings.map(lower) };
}

const TIME_LIMIT = 'max_execution_time';
