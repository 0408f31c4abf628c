import type { FinalNackCode } from '../core/wire-codes.ts';

/** Why the client itself gave a message or a connection up; beside these a message can end with a final nack code. */
export type ClientErrorCode =
  /** The message is larger than the gateway takes, so it was not sent. */
  | 'frame_too_large'
  /** `maxBuffered` messages wait already: await `room()` before sending more. */
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

/** A message or a connection that is given up for good. */
export class ParleyClientError extends Error {
  override readonly name = 'ParleyClientError';
  readonly code: ClientErrorCode | FinalNackCode;
  readonly detail: string | undefined;

  constructor(code: ClientErrorCode | FinalNackCode, message: string, detail?: string) {
    super(message);
    this.code = code;
    this.detail = detail;
  }
}
