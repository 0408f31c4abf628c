import { CLOSE_CODES } from '../../core/wire-codes.ts';
import type { Credentials } from '../handshake/auth.ts';
import type { Revoked } from '../handshake/revocation.ts';

/** Sessions by what their tokens say; what is left out is not looked at. */
export interface Selector {
  readonly tenant?: string;
  readonly bot?: string;
  /** The token's `jti`. */
  readonly token?: string;
}

export interface GoawayRequest extends Selector {
  /** How many of the selected sessions, from above 0 to 1. */
  readonly share: number;
  /** They are sent away one by one within this time. */
  readonly overMs: number;
}

/** What is done to a session from outside. */
export interface ControlledSession {
  readonly credentials: Credentials;
  close(code: number, reason: string): void;
  goaway(closesInMs: number): void;
  refuse(): void;
  letGo(): void;
}

/** `4001`: a new token helps; `4003`: none does. */
const CLOSES: Readonly<Record<Revoked, number>> = {
  token_revoked: CLOSE_CODES.token_expired,
  key_withdrawn: CLOSE_CODES.token_expired,
  access_denied: CLOSE_CODES.forbidden,
};
/** Before the close, messages that cross it are still answered, by a nack: else their bots would have to resend them. */
const GOODBYE_MS = 250;
/** Sessions sent away in a drain: a thousand a second, where the spread allows it. */
const MS_PER_SESSION = 1;

/** How sessions are sent away, in milliseconds. */
export interface Departure {
  /** They get their goaway one after another within this time. */
  readonly overMs: number;
  /** Each has this long to open its next session and leave by itself; messages are taken until then. */
  readonly handoverMs: number;
}

/**
 * All sessions of a process that ends. Of the drain's bound half is for the goaways and a quarter for the handover at most,
 * so that what is in flight then has a quarter left. By default, with 5,000 sessions and more: 5 s + 2 s + 0.25 s, of 15 s.
 */
export function departureOf(
  sessions: number,
  { spreadMs, handoverMs, boundMs }: { spreadMs: number; handoverMs: number; boundMs: number },
): Departure {
  return {
    overMs: Math.min(spreadMs, sessions * MS_PER_SESSION, boundMs / 2),
    handoverMs: Math.min(handoverMs, boundMs / 4),
  };
}

const matches =
  ({ tenant, bot, token }: Selector) =>
  ({ credentials }: ControlledSession): boolean =>
    (tenant === undefined || credentials.tenant === tenant) &&
    (bot === undefined || credentials.bot === bot) &&
    (token === undefined || credentials.tokenId === token);

/** Ends a session whose credentials do not count any more. */
export const endRevoked = (session: ControlledSession, why: Revoked): void => session.close(CLOSES[why], why);

/** Ends sessions on an operator's command. They may come back; who must not is on the deny list. @returns how many */
export function disconnect(sessions: Iterable<ControlledSession>, selector: Selector): number {
  const selected = [...sessions].filter(matches(selector));
  for (const session of selected) session.close(CLOSE_CODES.restart, 'disconnected by an operator');
  return selected.length;
}

/**
 * Says goaway to a share of the sessions, each at a moment of its own, so that they connect again spread over the time and,
 * through a load balancer, to gateways that have fewer. @returns how many
 */
export function sendAway(
  sessions: Iterable<ControlledSession>,
  { share, overMs, ...selector }: GoawayRequest,
  { handoverMs, random }: { handoverMs: number; random: () => number },
): number {
  const candidates = [...sessions].filter(matches(selector));
  const chosen = sample(candidates, Math.round(candidates.length * share), random);
  depart(chosen, { overMs, handoverMs }, random);
  return chosen.length;
}

/** Says goodbye to sessions one after another, in this order, at even distances and a random moment of each. */
export function depart(
  sessions: readonly ControlledSession[],
  { overMs, handoverMs }: Departure,
  random: () => number,
): void {
  for (const [index, session] of sessions.entries()) {
    const atMs = ((index + random()) / sessions.length) * overMs;
    setTimeout(() => sayGoodbye(session, handoverMs), atMs).unref();
  }
}

function sayGoodbye(session: ControlledSession, handoverMs: number): void {
  session.goaway(handoverMs);
  setTimeout(() => {
    session.refuse();
    setTimeout(() => session.letGo(), GOODBYE_MS).unref();
  }, handoverMs).unref();
}

/** The first steps of Fisher and Yates' shuffle. */
export function sample<T>(items: T[], count: number, random: () => number): T[] {
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (items.length - i));
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items.slice(0, count);
}
