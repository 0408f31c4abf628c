import type { JWTPayload } from 'jose';
import { SPEAKERS, type Speaker } from '../../core/wire-codes.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

/** Names of the claims that say who a token speaks for, as identity providers call them. */
export interface ClaimNames {
  readonly bot: string;
  readonly tenant: string;
  /** A list, or text with spaces or commas between roles, as `scope` has it. */
  readonly roles: string;
  /** Claims that bind a token where it has them; undefined where none does. */
  readonly conversation?: string | undefined;
  readonly user?: string | undefined;
  readonly speaker?: string | undefined;
}

/** What a token is good for alone: a web widget's visitor has one for the own conversation. */
export interface Bound {
  readonly conversationId?: string;
  readonly userId?: string;
  readonly speaker?: Speaker;
}

/** The variable of each, for the log. */
const VARIABLES: Readonly<Record<keyof ClaimNames, string>> = {
  bot: 'JWT_BOT_CLAIM',
  tenant: 'JWT_TENANT_CLAIM',
  roles: 'JWT_ROLES_CLAIM',
  conversation: 'JWT_CONVERSATION_CLAIM',
  user: 'JWT_USER_CLAIM',
  speaker: 'JWT_SPEAKER_CLAIM',
};
const MAX_CLAIM_CHARS = 128;

/** The claims of a valid token. */
export interface Claims {
  readonly tenant: string;
  readonly bot: string;
  readonly importer: boolean;
  /** Undefined for a token that speaks for the whole bot. */
  readonly bound?: Bound;
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
  if (importer || roles.includes('bot')) return { tenant, bot, importer, ...boundIn(payload, names) };
  const found = roles.length === 0 ? 'holds no roles' : `holds ${roles.length} roles, neither bot nor importer`;
  const detail = `tenant ${tenant}, bot ${bot}: the claim ${names.roles} (${VARIABLES.roles}) ${found}`;
  throw new HandshakeRefusal('role_missing', 'the token does not have the role bot', detail);
}

/** @throws {HandshakeRefusal} token_invalid: a token that is bound in a way that is not understood must not be free. */
function boundIn(payload: JWTPayload, names: ClaimNames): { readonly bound?: Bound } {
  const has = (which: 'conversation' | 'user' | 'speaker') =>
    names[which] !== undefined && claimAt(payload, names[which]) !== undefined;
  const bound: Bound = {
    ...(has('conversation') && { conversationId: nameIn(payload, names, 'conversation') }),
    ...(has('user') && { userId: nameIn(payload, names, 'user') }),
    ...(has('speaker') && { speaker: speakerIn(payload, names) }),
  };
  return Object.keys(bound).length > 0 ? { bound } : {};
}

function speakerIn(payload: JWTPayload, names: ClaimNames): Speaker {
  const name = nameIn(payload, names, 'speaker');
  const speaker = SPEAKERS.find((each) => each === name);
  if (speaker) return speaker;
  const detail = `the claim ${names.speaker} (${VARIABLES.speaker}) is no speaker; allowed are ${SPEAKERS.join(', ')}`;
  throw new HandshakeRefusal('token_invalid', 'the token is not valid here', detail);
}

function nameIn(payload: JWTPayload, names: ClaimNames, which: Exclude<keyof ClaimNames, 'roles'>): string {
  const value = claimAt(payload, names[which] ?? '');
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
