import type { FinalNackCode } from '../core/wire-codes.ts';

/** Why the client itself gave a message or a connection up; beside these a message can end with a final nack code. */
export type ClientErrorCode =
  /** An option of `connect()` that nothing can be done with. */
  | 'invalid_option'
  /** The message cannot be written as a frame, or has an id that no ack could name, so it was not sent. */
  | 'invalid_message'
  /** The message is larger than the gateway takes. */
  | 'frame_too_large'
  /** `maxBuffered` messages, or 16 Mi characters, wait already: await `room()` before sending more. */
  | 'buffer_full'
  /** The client was closed before the gateway acked. Whether the message is safe is not known. */
  | 'closed'
  /** No session within `connectTimeoutMs`. */
  | 'connect_timeout'
  /** The handshake was refused for good; `detail` holds the gateway's code. */
  | 'handshake_refused'
  /** The gateway closed with a code that says not to come back; `detail` holds it. */
  | 'connection_refused'
  /** The token's end came and there is no `tokenProvider` for another. */
  | 'token_expired';

/** What a client lives through and goes on after; see `listeners.onProblem`. */
export type ProblemCode =
  /** A connection ended, or did not come about. The next one is tried. */
  | 'connection_lost'
  /** `tokenProvider` threw, took too long, or gave what is no token. It is asked again. */
  | 'token_unavailable'
  /** A listener threw, or its promise was rejected; `cause` holds what it threw. */
  | 'listener_failed';

/** A message or a connection that is given up for good; or, where a listener is told of it, a problem that is not. */
export class ParleyClientError extends Error {
  override readonly name = 'ParleyClientError';
  readonly code: ClientErrorCode | ProblemCode | FinalNackCode;
  readonly detail: string | undefined;

  constructor(
    code: ClientErrorCode | ProblemCode | FinalNackCode,
    message: string,
    { detail, cause }: { detail?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** The text of anything that was thrown, also of what cannot be turned into one. */
export function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return 'something without a text';
  }
}
