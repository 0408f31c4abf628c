import type { JWTPayload } from 'jose';
import { HandshakeRefusal } from './handshake-refusal.ts';

/** Names of the claims that say who a token speaks for, as identity providers call them. */
export interface ClaimNames {
  readonly bot: string;
  readonly tenant: string;
  /** A list, or text with spaces or commas between roles, as `scope` has it. */
  readonly roles: string;
}

/** The variable of each, for the log. */
const VARIABLES: Readonly<Record<keyof ClaimNames, string>> = {
  bot: 'JWT_BOT_CLAIM',
  tenant: 'JWT_TENANT_CLAIM',
  roles: 'JWT_ROLES_CLAIM',
};
const MAX_CLAIM_CHARS = 128;

/** The claims of a valid token. */
export interface Claims {
  readonly tenant: string;
  readonly bot: string;
  readonly importer: boolean;
}

/** A claim by its own name, which may hold dots (`https://parley.example/roles`), or else by its path (`realm_access.roles`). */
export function claimAt(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** @throws {HandshakeRefusal} token_invalid or role_missing; its detail names the claim and the variable that names it. */
export function readClaims(payload: JWTPayload, names: ClaimNames): Claims {
  const bot = nameIn(payload, names, 'bot');
  const tenant = nameIn(payload, names, 'tenant');
  const roles = rolesOf(claimAt(payload, names.roles));
  const importer = roles.includes('importer');
  if (importer || roles.includes('bot')) return { tenant, bot, importer };
  const found = roles.length === 0 ? 'holds no roles' : `holds ${roles.length} roles, neither bot nor importer`;
  const detail = `tenant ${tenant}, bot ${bot}: the claim ${names.roles} (${VARIABLES.roles}) ${found}`;
  throw new HandshakeRefusal('role_missing', 'the token does not have the role bot', detail);
}

function nameIn(payload: JWTPayload, names: ClaimNames, which: 'bot' | 'tenant'): string {
  const value = claimAt(payload, names[which]);
  // Providers number their tenants and clients, too.
  const name = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (isName(name)) return name;
  const found = value === undefined ? 'is missing' : 'is no usable name';
  const allowed = `a string of 1 to ${MAX_CLAIM_CHARS} characters`;
  const detail = `the claim ${names[which]} (${VARIABLES[which]}) ${found}; allowed is ${allowed}`;
  throw new HandshakeRefusal('token_invalid', 'the token is not valid here', detail);
}

const isName = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length >= 1 &&
  value.length <= MAX_CLAIM_CHARS &&
  value.isWellFormed() &&
  !value.includes('\0');

function rolesOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(/[\s,]+/).filter((role) => role !== '');
  return Array.isArray(value) ? value.filter((role): role is string => typeof role === 'string') : [];
}
