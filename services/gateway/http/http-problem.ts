import type { ServerResponse } from 'node:http';
import { type HandshakeRefusal, refusalBody, refusalHeaders } from '../handshake/handshake-refusal.ts';

/**
 * Why an HTTP request is refused, beside the refusals that it shares with handshakes. The body is `{"code","message"}`.
 * `schemas/gateway.openapi.yaml` and `docs/protocol.md` list the same codes; a test keeps them equal.
 */
export const HTTP_PROBLEMS = {
  malformed: 400,
  method_not_allowed: 405,
  too_large: 413,
  unsupported_encoding: 415,
  rate_limited: 429,
  overloaded: 503,
} as const;

export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly code: keyof typeof HTTP_PROBLEMS;
  /** When another try makes sense, for temporary problems. */
  readonly retryAfterMs: number | undefined;

  constructor(code: keyof typeof HTTP_PROBLEMS, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  const text = `${JSON.stringify(body)}\n`;
  const own = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  response.writeHead(status, { ...own, ...headers }).end(text);
}

export function sendProblem(response: ServerResponse, { code, message, retryAfterMs }: HttpProblem): void {
  const retry = retryAfterMs === undefined ? {} : { 'retry-after': Math.max(1, Math.ceil(retryAfterMs / 1_000)) };
  // What was not read of the body is not waited for.
  sendJson(response, HTTP_PROBLEMS[code], { code, message }, { ...retry, connection: 'close' });
}

export function sendRefusal(response: ServerResponse, refusal: HandshakeRefusal, random: () => number): void {
  response.writeHead(refusal.status, refusalHeaders(refusal, random)).end(refusalBody(refusal));
}
