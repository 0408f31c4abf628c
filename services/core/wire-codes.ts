/**
 * Closed lists of codes that leave Parley: in frames, close codes, headers and rows. Extend them, never rename.
 * `schemas/parley.asyncapi.yaml` lists the same codes; a test keeps them equal.
 */

/** Refusals that will not change when the same frame is sent again. */
export const FINAL_NACK_CODES = ['malformed', 'unknown_type', 'invalid_field', 'text_too_long', 'forbidden'] as const;
/** Refusals that carry `retry_after_ms`. */
export const TEMPORARY_NACK_CODES = [
  'rate_limited',
  'too_many_in_flight',
  'overloaded',
  'unavailable',
  'shutting_down',
] as const;
export type FinalNackCode = (typeof FINAL_NACK_CODES)[number];
export type TemporaryNackCode = (typeof TEMPORARY_NACK_CODES)[number];
export type NackCode = FinalNackCode | TemporaryNackCode;

export const isTemporaryNack = (code: string): code is TemporaryNackCode =>
  (TEMPORARY_NACK_CODES as readonly string[]).includes(code);

export const CLOSE_CODES = {
  frame_too_big: 1009,
  restart: 1012,
  token_expired: 4001,
  forbidden: 4003,
  token_invalid: 4004,
  too_many_malformed: 4008,
  slow_reader: 4101,
  no_pong: 4102,
  overloaded: 4103,
  too_many_refused: 4104,
} as const;

/**
 * Why a handshake is answered with an HTTP status instead of a WebSocket. The body is `{"code","message"}`.
 * `docs/protocol.md` lists the same codes.
 */
export const HANDSHAKE_REFUSALS = {
  not_found: 404,
  upgrade_required: 426,
  unsupported_subprotocol: 400,
  token_missing: 401,
  token_invalid: 401,
  token_expired: 401,
  token_revoked: 401,
  access_denied: 403,
  role_missing: 403,
  origin_forbidden: 403,
  too_many_connections: 429,
  too_many_tenant_connections: 429,
  too_many_bot_connections: 429,
  too_many_failed_handshakes: 429,
  connection_rate: 429,
  keys_unavailable: 503,
  draining: 503,
} as const;

export type HandshakeCode = keyof typeof HANDSHAKE_REFUSALS;

/** Why a record stands on `chat.dlq` (header `dlq-reason`). */
export const DLQ_REASONS = [
  'undecodable',
  'schema_unknown',
  'invalid',
  'nlp_rejected',
  'nlp_exhausted',
  'outcome_undecodable',
  'replay_exhausted',
] as const;
export type DlqReason = (typeof DLQ_REASONS)[number];

/** Why an outcome is `degraded` (its `reason`). */
export type DegradedReason = 'nlp_unavailable';

/** Failed replays after which a record is parked for good (`replay_exhausted`). */
export const MAX_REPLAYS = 3;

/** Final outcomes as they stand in `chat.enriched` and in ClickHouse. */
export const OUTCOMES = ['enriched', 'degraded', 'dead_lettered', 'gap'] as const;
type Outcome = (typeof OUTCOMES)[number];
/** What a receipt may say: an outcome, or `duplicate`, decided by the sink alone. */
export type ReceiptOutcome = Outcome | 'duplicate';

export const SPEAKERS = ['user', 'bot', 'agent', 'system'] as const;
export type Speaker = (typeof SPEAKERS)[number];
