/**
 * Why a handshake is answered with an HTTP status instead of a WebSocket. The body is `{"code","message"}`.
 * `schemas/parley.asyncapi.yaml` and `docs/protocol.md` list the same codes; a test keeps them equal.
 */
export const HANDSHAKE_REFUSALS = {
  not_found: 404,
  upgrade_required: 426,
  unsupported_subprotocol: 400,
  token_missing: 401,
  token_invalid: 401,
  token_expired: 401,
  role_missing: 403,
  origin_forbidden: 403,
  too_many_connections: 429,
  keys_unavailable: 503,
  draining: 503,
} as const;

export type HandshakeCode = keyof typeof HANDSHAKE_REFUSALS;

export class HandshakeRefusal extends Error {
  override readonly name = 'HandshakeRefusal';
  readonly code: HandshakeCode;
  /** For the log alone: what exactly was wrong, never the token. */
  readonly detail: string | undefined;

  constructor(code: HandshakeCode, message: string, detail?: string) {
    super(message);
    this.code = code;
    this.detail = detail;
  }

  get status(): number {
    return HANDSHAKE_REFUSALS[this.code];
  }
}
