import { HANDSHAKE_REFUSALS, type HandshakeCode } from '../../core/wire-codes.ts';

/** The limit that was reached, for the headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). */
export interface ReachedLimit {
  readonly quota: number;
  /** Window of a rate in seconds; missing for a count of connections. */
  readonly windowS?: number;
}

export class HandshakeRefusal extends Error {
  override readonly name = 'HandshakeRefusal';
  readonly code: HandshakeCode;
  /** For the log alone: what exactly was wrong, never the token. */
  readonly detail: string | undefined;
  readonly limit: ReachedLimit | undefined;

  constructor(code: HandshakeCode, message: string, detail?: string, limit?: ReachedLimit) {
    super(message);
    this.code = code;
    this.detail = detail;
    this.limit = limit;
  }

  get status(): number {
    return HANDSHAKE_REFUSALS[this.code];
  }

  /**
   * Whether it counts against its source: not where the gateway is loaded or drains. A key that is not known does, since
   * made-up key ids would cost nothing otherwise.
   */
  get isFailure(): boolean {
    return this.status !== 429 && this.code !== 'draining';
  }
}

const FIRST_RETRY_S = 1;
const LAST_RETRY_S = 10;

export const refusalBody = ({ code, message }: HandshakeRefusal): string => `${JSON.stringify({ code, message })}\n`;

/** @param random spreads `Retry-After`: thousands that were refused in one moment must not come back in one. */
export function refusalHeaders(
  { status, code, limit }: HandshakeRefusal,
  random: () => number,
): Record<string, string | number> {
  const retryAfterS = FIRST_RETRY_S + Math.floor(random() * LAST_RETRY_S);
  return {
    'content-type': 'application/json',
    ...((status === 429 || status === 503) && { 'retry-after': retryAfterS }),
    ...(limit && {
      'ratelimit-policy': `"${code}";q=${limit.quota}${limit.windowS === undefined ? '' : `;w=${limit.windowS}`}`,
      ratelimit: `"${code}";r=0;t=${retryAfterS}`,
    }),
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(status === 426 && { upgrade: 'websocket' }),
  };
}
