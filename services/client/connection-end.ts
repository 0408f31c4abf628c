import { CLOSE_CODES, HANDSHAKE_REFUSALS, type HandshakeCode } from '../core/wire-codes.ts';
import { ParleyClientError } from './errors.ts';
import type { ErrorFrame } from './frames.ts';
import type { TransportEnd } from './transport.ts';

/** What an end means: come back; come back with another token, a few times; or never. */
export type Meaning =
  | { readonly kind: 'again'; readonly notBeforeMs: number }
  | { readonly kind: 'another-token'; readonly error: ParleyClientError }
  | { readonly kind: 'final'; readonly error: ParleyClientError };

const AGAIN: Meaning = { kind: 'again', notBeforeMs: 0 };
const UNAUTHORIZED = 401;
const TOO_MANY = 429;

/**
 * Only what the gateway itself says can be final, known by its codes: a 404 or 403 of a proxy that is being set up again, or of a
 * firewall's page, says nothing about this bot.
 *
 * @param told the `error` frame that came in the place of `welcome`.
 */
export function meaningOf(end: TransportEnd, told: ErrorFrame | undefined): Meaning {
  const { code, refusal } = end;
  if (refusal) return ofRefusal(refusal.code, refusal.retryAfterMs);
  if (told && Object.hasOwn(HANDSHAKE_REFUSALS, told.code)) return ofRefusal(told.code, told.retry_after_ms);
  if (code === CLOSE_CODES.token_expired) {
    const error = new ParleyClientError('token_expired', 'the token has expired; give a tokenProvider to outlive it');
    return { kind: 'another-token', error };
  }
  if (code < 4_000 || code > 4_099) return AGAIN;
  const detail = String(code);
  return {
    kind: 'final',
    error: new ParleyClientError('connection_refused', `the gateway closed with ${code}`, { detail }),
  };
}

function ofRefusal(code: string, retryAfterMs = 0): Meaning {
  const status = Object.hasOwn(HANDSHAKE_REFUSALS, code) ? HANDSHAKE_REFUSALS[code as HandshakeCode] : undefined;
  if (status === undefined || status === TOO_MANY || status >= 500) return { kind: 'again', notBeforeMs: retryAfterMs };
  const message = `the gateway refused the handshake with ${status} ${code}`;
  const error = new ParleyClientError('handshake_refused', message, { detail: code });
  return { kind: status === UNAUTHORIZED ? 'another-token' : 'final', error };
}

export function describeEnd({ code, reason, problem, refusal }: TransportEnd, told: ErrorFrame | undefined): string {
  if (refusal) return `the handshake was answered with ${refusal.status} ${refusal.code}`;
  if (told) return `the gateway refused the session: ${told.code}`;
  return problem ?? `the connection ended with code ${code}${reason === undefined ? '' : ` (${reason})`}`;
}
