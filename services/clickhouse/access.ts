import { createHash, timingSafeEqual } from 'node:crypto';
import { ClickHouseException } from './exception.ts';
import type { QueryRequest } from './request.ts';
import { isAmbiguous, readNames, type Statement } from './statement.ts';

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

/**
 * The engine's users: one login that holds two roles. A request takes on the role of its user with `SET ROLE` on a
 * connection of its own, so the engine itself refuses an analyst's writes, DDL, file and network functions.
 */
export function usersXml(analyst: Limits): string {
  const bounds = Object.entries(ANALYST_BOUNDS(analyst))
    .map(([name, max]) => `<${name}><min>1</min><max>${escapeXml(max)}</max></${name}>`)
    // A schema is a file of this machine, and its lines would show in a parser's complaints.
    .concat('<format_schema><readonly/></format_schema>')
    .join('');
  return `<clickhouse>
  <profiles><default/><analyst><constraints>${bounds}</constraints></analyst></profiles>
  <roles>
    <admin><grants><query>GRANT ALL ON *.*</query></grants></admin>
    <analyst><grants><query>GRANT SELECT, SHOW ON *.*</query></grants></analyst>
  </roles>
  <users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <databases><system><processes><filter>has(currentRoles(), 'admin')</filter></processes></system></databases>
    <grants><query>GRANT admin</query><query>GRANT analyst</query></grants></default></users>
  <quotas><default/></quotas>
</clickhouse>
`;
}

/** What turns a connection into the user's, beyond the settings: nothing that follows can undo it. */
export const roleStatements = (user: User): readonly string[] =>
  user.readonly ? ['SET ROLE analyst', "SET profile = 'analyst'"] : [];

/** The function `file` reads any file here: what the grants keep is the table function of that name. */
const FORBIDDEN_FUNCTIONS: ReadonlySet<string> = new Set(['file', 'catboostevaluate']);

/**
 * What the engine would let an analyst do although the server would not: every login here is one engine user, so
 * killing "own" queries means anybody's; `SET ROLE` and `SET profile` lead back; `DEFAULT` is not held to constraints;
 * and the engine takes itself for a local tool whose functions may read files.
 *
 * @throws {ClickHouseException} ACCESS_DENIED, SETTING_CONSTRAINT_VIOLATION, SET_NON_GRANTED_ROLE.
 */
export function assertAllowed(user: User, request: QueryRequest, statement: Statement, sql: string): void {
  if (!user.readonly) return;
  const denied = (what: string) =>
    new ClickHouseException('ACCESS_DENIED', `${user.name}: Not enough privileges: ${what}`);
  const otherRole = request.roles.find((role) => role !== user.name);
  if (otherRole !== undefined) {
    throw new ClickHouseException('SET_NON_GRANTED_ROLE', `Role ${otherRole} is not granted to ${user.name}`);
  }
  if (statement.kind !== 'result' && statement.kind !== 'set' && statement.kind !== 'use') {
    throw denied('this user can only read');
  }
  if (isAmbiguous(sql)) {
    throw denied('outside of strings only ASCII is allowed, and no backslash in quoted names');
  }
  const { names, assignments } = readNames(sql);
  const forbidden = names.find((name) => FORBIDDEN_FUNCTIONS.has(name));
  if (forbidden !== undefined) throw denied(`the name ${forbidden} (a function that reads files) is not allowed`);
  const assigned = [...assignments, ...request.settings.map(([name]) => ({ name, isDefault: false }))];
  if (assigned.some(({ name }) => name === 'profile')) throw denied('the profile is fixed');
  const reset = assigned.find(({ name, isDefault }) => isDefault && (name in user.limits || name === 'readonly'));
  if (reset) {
    throw new ClickHouseException(
      'SETTING_CONSTRAINT_VIOLATION',
      `Setting ${reset.name} shouldn't be reset by this user`,
    );
  }
}
