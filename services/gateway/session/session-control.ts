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
  drain(reconnectAfterMs: number): void;
  letGo(): void;
}

/** `4001`: a new token helps; `4003`: none does. */
const CLOSES: Readonly<Record<Revoked, number>> = {
  token_revoked: CLOSE_CODES.token_expired,
  key_withdrawn: CLOSE_CODES.token_expired,
  access_denied: CLOSE_CODES.forbidden,
};
/** Between a goaway and the close messages that crossed it are still answered: else their bots would have to resend them. */
export const GOODBYE_MS = 250;

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
  random: () => number,
): number {
  const candidates = [...sessions].filter(matches(selector));
  const chosen = sample(candidates, Math.round(candidates.length * share), random);
  for (const session of chosen) {
    setTimeout(() => {
      // It has had its spread already.
      session.drain(0);
      setTimeout(() => session.letGo(), GOODBYE_MS).unref();
    }, random() * overMs).unref();
  }
  return chosen.length;
}

/** The first steps of Fisher and Yates' shuffle. */
function sample<T>(items: T[], count: number, random: () => number): T[] {
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (items.length - i));
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items.slice(0, count);
}
