/**
 * The closed list of codes in error bodies and in the `errors` of a batch, with the HTTP status of each. The OpenAPI
 * document lists the same codes with the same statuses; a test keeps the two equal.
 */
export const API_ERRORS = {
  malformed_request: 400,
  invalid_json: 400,
  invalid_field: 400,
  rejected: 400,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  text_too_long: 413,
  batch_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  headers_too_large: 431,
  analysis_failed: 500,
  overloaded: 503,
} as const;

/** The code of an injected status; the status is whatever the fault says. */
export const INJECTED_FAULT = 'injected_fault';

export type ApiErrorCode = keyof typeof API_ERRORS;

/** Why a document or a whole request is refused: a code, and one sentence naming what is wrong and what is allowed. */
export interface Refusal {
  readonly code: ApiErrorCode;
  readonly message: string;
}

export const refusal = (code: ApiErrorCode, message: string): Refusal => ({ code, message });
