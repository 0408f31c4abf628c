/**
 * Why a call to the NLP API failed, as far as it decides what happens next:
 *
 * - `rejected`: this text will never be taken (400, 422): dead letter, no retry;
 * - `too_large`: the request is too large (413): a batch is split, a single text is rejected;
 * - `no_batches`: the API has no batches (404, 405, 501 for a batch): the documents are sent alone;
 * - `throttled`: the API asks us to slow down (429, or 503 with Retry-After): wait and try again, it is not broken;
 * - `failed`: broken or unreachable for now (time-out, 408, 425, 5xx, connection, garbage): retry, and the breaker counts it;
 * - `misconfigured`: it does not know us or the path (401, 403, 404, 405, and what is not foreseen): every text would fail,
 *   so none may be given up for it; the breaker counts it.
 */
export type NlpFailure = 'rejected' | 'too_large' | 'no_batches' | 'throttled' | 'failed' | 'misconfigured';

export class NlpError extends Error {
  override readonly name = 'NlpError';
  readonly failure: NlpFailure;
  /** A closed set, fit for a label: `timeout`, `connection`, `garbage`, `text_too_long`, `http_<status>`, `document_<code>`. */
  readonly cause_code: string;
  readonly retryAfterMs: number | undefined;

  constructor(
    failure: NlpFailure,
    causeCode: string,
    message: string,
    options: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.failure = failure;
    this.cause_code = causeCode;
    this.retryAfterMs = options.retryAfterMs;
  }
}

const REJECTED = new Set([400, 422]);
const TRANSIENT = new Set([408, 425]);

/** The error for a response that is not 200. `retryAfter` is the header: seconds, or an HTTP date. */
export function errorOfStatus(status: number, retryAfter: string | undefined, nowMs: number): NlpError {
  const code = `http_${status}`;
  const retryAfterMs = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, nowMs);
  const message = `the NLP API answered ${status}`;
  if (REJECTED.has(status)) return new NlpError('rejected', code, message);
  if (status === 413) return new NlpError('too_large', code, message);
  if (status === 429 || (status === 503 && retryAfterMs !== undefined)) {
    return new NlpError('throttled', code, message, { retryAfterMs });
  }
  if (TRANSIENT.has(status) || status >= 500) return new NlpError('failed', code, message, { retryAfterMs });
  return new NlpError('misconfigured', code, message);
}

/** The answer was 200 and no analysis: a login page, half a document, another document's result. */
export const garbage = (): NlpError =>
  new NlpError('failed', 'garbage', 'the NLP API answered 200 with something that is no analysis');

const NO_BATCHES = new Set([404, 405, 501]);

/** The error for a batch that was not answered 200: its path may be missing where single calls work. */
export function errorOfBatchStatus(status: number, retryAfter: string | undefined, nowMs: number): NlpError {
  if (!NO_BATCHES.has(status)) return errorOfStatus(status, retryAfter, nowMs);
  return new NlpError('no_batches', `http_${status}`, `the NLP API answered a batch with ${status}`);
}

function parseRetryAfter(header: string, nowMs: number): number | undefined {
  if (/^\d{1,6}(\.\d+)?$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(at - nowMs, 0);
}
